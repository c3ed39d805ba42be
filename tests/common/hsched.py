"""libhsched from Python through ctypes: what tests and peers need of it, no more.

    with Runtime(cpu_workers=1) as rt:
        model = rt.load("digits-cnn.onnx", symbols={"batch": 4})
        outputs = model.infer({"input": array})          # name -> numpy array
"""
import ctypes as c
import os
import pathlib

import numpy as np

try:
    import ml_dtypes
except ImportError:  # then there is no bfloat16
    ml_dtypes = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
DTYPES = {1: np.float32, 2: np.uint8, 3: np.int64, 4: np.int32, 5: np.bool_, 6: np.float16,
          7: np.int8, 9: np.float64} | ({8: ml_dtypes.bfloat16} if ml_dtypes else {})
FOREVER = 2**64 - 1
FIRST_GPU = 1  # device 0 are the CPU workers
CACHE_WEIGHTS = 1 << 7  # a flag of a model
NO_GPU, NO_GRAPHS = 1 << 3, 1 << 4  # flags of a runtime


class Symbol(c.Structure):
    _fields_ = [("name", c.c_char_p), ("value", c.c_int64)]


class RuntimeConfig(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("cpu_workers", c.c_uint32), ("cpus", c.c_void_p),
                ("cpu_count", c.c_uint32), ("flags", c.c_uint32), ("policy", c.c_int),
                ("cpu_libraries", c.c_uint32), ("sims", c.c_void_p), ("sim_count", c.c_uint32),
                ("ageing_us", c.c_uint32)]


class ModelConfig(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("policy", c.c_int),
                ("flags", c.c_uint32), ("symbols", c.POINTER(Symbol)),
                ("symbol_count", c.c_uint32), ("input_layout", c.c_int),
                ("output_layout", c.c_int), ("taps", c.c_void_p), ("tap_count", c.c_uint32),
                ("max_parts", c.c_uint32), ("math", c.c_int)]
MATH_DEFAULT = 0
MATH_STRICT = 1  # float32 throughout, on GPUs, too
MATH_BF16 = 3


class TensorInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("dtype", c.c_int),
                ("layout", c.c_int), ("rank", c.c_uint32), ("dims", c.c_int64 * 8),
                ("symbols", c.c_char_p * 8), ("byte_size", c.c_size_t)]


class Binding(c.Structure):
    _fields_ = [("buffer", c.c_void_p), ("offset", c.c_size_t), ("data", c.c_void_p),
                ("size", c.c_size_t), ("run", c.c_void_p), ("run_output", c.c_uint32),
                ("reserved", c.c_uint32 * 5)]


class RunConfig(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("inputs", c.POINTER(Binding)),
                ("input_count", c.c_uint32), ("outputs", c.POINTER(Binding)),
                ("output_count", c.c_uint32), ("priority", c.c_int), ("callback", c.c_void_p),
                ("callback_user", c.c_void_p)]


class DeviceStats(c.Structure):
    """As far as it is of use here; the library fills in what struct_size covers."""
    _fields_ = [("struct_size", c.c_size_t), ("jobs", c.c_uint64), ("steps", c.c_uint64)]


class HschedError(RuntimeError):
    pass


def library():
    lib = c.CDLL(str(BUILD / "libhsched.so"))
    for name in ("hsched_error_detail", "hsched_status_name", "hsched_version"):
        getattr(lib, name).restype = c.c_char_p
    for name in ("hsched_runtime_destroy", "hsched_model_release", "hsched_run_release",
                 "hsched_run_cancel"):
        getattr(lib, name).argtypes = [c.c_void_p]
        getattr(lib, name).restype = None
    for name in ("hsched_model_input_count", "hsched_model_output_count"):
        getattr(lib, name).argtypes = [c.c_void_p]
        getattr(lib, name).restype = c.c_uint32
    lib.hsched_runtime_create.argtypes = [c.POINTER(RuntimeConfig), c.POINTER(c.c_void_p)]
    lib.hsched_runtime_device_count.argtypes = [c.c_void_p]
    lib.hsched_runtime_device_count.restype = c.c_uint32
    lib.hsched_runtime_get_device_stats.argtypes = [c.c_void_p, c.c_uint32,
                                                    c.POINTER(DeviceStats)]
    lib.hsched_model_load.argtypes = [c.c_void_p, c.c_char_p, c.POINTER(ModelConfig),
                                      c.POINTER(c.c_void_p)]
    for name in ("hsched_model_input_info", "hsched_model_output_info"):
        getattr(lib, name).argtypes = [c.c_void_p, c.c_uint32, c.POINTER(TensorInfo)]
    lib.hsched_infer.argtypes = [c.c_void_p, c.POINTER(Binding), c.c_uint32, c.POINTER(Binding),
                                 c.c_uint32]
    lib.hsched_submit.argtypes = [c.c_void_p, c.POINTER(RunConfig), c.POINTER(c.c_void_p)]
    lib.hsched_run_wait.argtypes = [c.c_void_p, c.c_uint64]
    return lib


LIB = library()


def check(status):
    if status != 0:
        raise HschedError(f"{LIB.hsched_status_name(status).decode()}: "
                          f"{LIB.hsched_error_detail().decode()}")


def aligned(array):
    """The array, or a copy of it, from a multiple of 64 bytes on, as the library has its own tensors."""
    if array.ctypes.data % 64 == 0:
        return array
    room = np.empty(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    copy = room[first:first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def bindings(arrays):
    return (Binding * max(len(arrays), 1))(
        *[Binding(data=a.ctypes.data, size=a.nbytes) for a in arrays])


class Model:
    def __init__(self, handle):
        self.handle = handle
        self.inputs = self._infos(LIB.hsched_model_input_count, LIB.hsched_model_input_info)
        self.outputs = self._infos(LIB.hsched_model_output_count, LIB.hsched_model_output_info)

    def _infos(self, count, info):
        result = []
        for i in range(count(self.handle)):
            t = TensorInfo(struct_size=c.sizeof(TensorInfo))
            check(info(self.handle, i, c.byref(t)))
            if t.dtype not in DTYPES:
                raise HschedError(f"tensor {t.name.decode()}: type {t.dtype} is not supported here")
            result.append((t.name.decode(), DTYPES[t.dtype], tuple(t.dims[:t.rank])))
        return result

    def arrays(self, feed):
        """Inputs and poisoned outputs, in the model's order."""
        ins = [np.ascontiguousarray(feed[name], dtype).reshape(shape)
               for name, dtype, shape in self.inputs]
        outs = [aligned(np.full(shape, np.nan if dtype == np.float32 else 127, dtype))
                for _, dtype, shape in self.outputs]
        return ins, outs

    def infer(self, feed):
        ins, outs = self.arrays(feed)
        check(LIB.hsched_infer(self.handle, bindings(ins), len(ins), bindings(outs), len(outs)))
        return {name: out for (name, _, _), out in zip(self.outputs, outs)}

    def infer_exactly(self, feed):
        """infer(), for inputs that are of the model's types and shapes already: nothing is converted."""
        for name, dtype, shape in self.inputs:
            given = np.asarray(feed[name])
            if given.dtype != dtype or given.shape != shape:
                raise HschedError(f"input {name} is {given.dtype}{list(given.shape)}, the model's "
                                  f"{np.dtype(dtype)}{list(shape)}")
        return self.infer(feed)

    def submitter(self, feed):
        """submit() -> run handle, on fixed memory."""
        ins, outs = self.arrays(feed)
        config = RunConfig(struct_size=c.sizeof(RunConfig), inputs=bindings(ins),
                           outputs=bindings(outs))
        run = c.c_void_p()

        def submit(keep=(ins, outs)):
            check(LIB.hsched_submit(self.handle, c.byref(config), c.byref(run)))
            return run.value
        return submit

    def close(self):
        LIB.hsched_model_release(self.handle)
        self.handle = None


def wait(run):
    status = LIB.hsched_run_wait(run, FOREVER)
    LIB.hsched_run_release(run)
    check(status)


class Runtime:
    def __init__(self, **config):
        self.handle = c.c_void_p()
        settings = RuntimeConfig(struct_size=c.sizeof(RuntimeConfig), **config)
        check(LIB.hsched_runtime_create(c.byref(settings), c.byref(self.handle)))
        self.models = []

    def load(self, path, symbols=None, **config):
        named = (Symbol * max(len(symbols or {}), 1))(
            *[Symbol(k.encode(), v) for k, v in (symbols or {}).items()])
        settings = ModelConfig(struct_size=c.sizeof(ModelConfig), symbols=named,
                               symbol_count=len(symbols or {}), **config)
        model = c.c_void_p()
        check(LIB.hsched_model_load(self.handle, str(path).encode(), c.byref(settings),
                                    c.byref(model)))
        self.models.append(Model(model))
        return self.models[-1]

    def has_gpu(self):
        return LIB.hsched_runtime_device_count(self.handle) > FIRST_GPU

    def gpu_steps(self):
        """How many steps the GPU has done so far; 0 without one."""
        stats = DeviceStats(struct_size=c.sizeof(DeviceStats))
        if self.has_gpu():
            check(LIB.hsched_runtime_get_device_stats(self.handle, FIRST_GPU, c.byref(stats)))
        return stats.steps

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for model in self.models:
            model.close()
        LIB.hsched_runtime_destroy(self.handle)


def relative_error(a, b):
    """||a - b|| / ||b||; infinite if a is not finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    norm = np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / norm) if norm else float(np.linalg.norm(a))
