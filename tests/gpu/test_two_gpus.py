"""Two GPUs are two devices, and a load is spread over both. Skipped where there are fewer."""
import ctypes as c

import numpy as np
import pytest

import gpu_machine
import hsched
from gpu_networks import FORMAT_ERROR, logits

if (gpu_machine.describe() or {"gpus": 0})["gpus"] < 2:
    pytest.skip(gpu_machine.missing() or "there is one GPU", allow_module_level=True)
GPU_ONLY, GPU = 3, 2  # hsched_policy, hsched_device_kind
RUNS = 32


class DeviceInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("description", c.c_char_p),
                ("libraries", c.c_char_p), ("kind", c.c_int), ("workers", c.c_uint32),
                ("memory_bytes", c.c_uint64), ("lost", c.c_int)]


class DeviceStats(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("jobs", c.c_uint64), ("steps", c.c_uint64),
                ("busy_us", c.c_double)]


def with_gpus(base):
    """The config struct as it is since there are GPUs."""
    if "gpus" in (name for name, *_ in base._fields_):
        return base
    return type("GpuConfig", (base,), {"_fields_": [("gpus", c.c_void_p), ("gpu_count", c.c_uint32)]})


class TwoGpus(hsched.Runtime):
    def __init__(self):
        self.handle, self.models = c.c_void_p(), []
        numbers, config = (c.c_int * 2)(0, 1), with_gpus(hsched.RuntimeConfig)
        settings = config(struct_size=c.sizeof(config), policy=GPU_ONLY,
                          gpus=c.cast(numbers, c.c_void_p), gpu_count=2)
        hsched.check(hsched.LIB.hsched_runtime_create(c.byref(settings), c.byref(self.handle)))

    def devices(self):
        """[(name, kind, jobs so far)]"""
        result = []
        for i in range(hsched.LIB.hsched_runtime_device_count(self.handle)):
            info = DeviceInfo(struct_size=c.sizeof(DeviceInfo))
            stats = DeviceStats(struct_size=c.sizeof(DeviceStats))
            hsched.check(hsched.LIB.hsched_runtime_device_info(self.handle, i, c.byref(info)))
            hsched.check(hsched.LIB.hsched_runtime_get_device_stats(self.handle, i, c.byref(stats)))
            result.append((info.name.decode(), info.kind, stats.jobs))
        return result


@pytest.fixture(scope="module")
def path(program, tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "resnet18.onnx"
    program("export", "resnet18", path)
    return path


def test_two_devices():
    with TwoGpus() as rt:
        gpus = [name for name, kind, _ in rt.devices() if kind == GPU]
        assert len(set(gpus)) == 2, gpus


def test_models_are_spread_over_both(path):
    feed = {"input": np.random.default_rng(7).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    with hsched.Runtime(policy=1) as rt:
        expected = rt.load(path).infer(feed)["output"]
    with TwoGpus() as rt:
        # Several models: each is placed on the least loaded device when it is loaded or when it runs.
        models = [rt.load(path, policy=GPU_ONLY) for _ in range(4)]
        made = [m.arrays(feed) for m in models * (RUNS // 4)]
        runs = []
        for model, (ins, outs) in zip(models * (RUNS // 4), made):
            config = hsched.RunConfig(struct_size=c.sizeof(hsched.RunConfig), inputs=hsched.bindings(ins),
                                      outputs=hsched.bindings(outs))
            run = c.c_void_p()
            hsched.check(hsched.LIB.hsched_submit(model.handle, c.byref(config), c.byref(run)))
            runs.append(run)
        for run in runs:
            hsched.wait(run)
        jobs = [jobs for _, kind, jobs in rt.devices() if kind == GPU]
    assert all(jobs), jobs
    most = 2e-3 + 1.5 * FORMAT_ERROR["resnet18"]["default"]
    for _, (out,) in made:
        assert hsched.relative_error(logits(out), logits(expected)) < most
