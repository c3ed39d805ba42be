"""ncnn, on the CPU, in float32; pnnx converts the network. A call makes an extractor, as one in C++ does; its calls
through Python take half a microsecond."""
import importlib.util
import pathlib
import shutil
import subprocess
import tempfile

import ncnn
import numpy as np

import hsched
import peers

TITLE = "ncnn"
VERSION = ncnn.__version__
CONVERSION_S = 300


def converter():
    """pnnx is a program; its Python module would ask for PyTorch."""
    spec = importlib.util.find_spec("pnnx")
    found = [pathlib.Path(folder) / "pnnx" for folder in spec.submodule_search_locations or []] if spec else []
    if not found or not found[0].exists():
        raise ImportError("ncnn is there, its converter pnnx is not")
    return found[0]


CONVERTER = converter()


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


def converted(path, feed):
    """The network as ncnn's two files, made once."""
    param = hsched.BUILD / "bench" / "ncnn" / f"{path.stem}-{VERSION}.param"
    weights = param.with_suffix(".bin")
    if weights.exists() and weights.stat().st_mtime > path.stat().st_mtime:
        return param, weights
    param.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=param.parent) as folder:
        # pnnx writes its files beside what it reads.
        source = pathlib.Path(folder) / "network.onnx"
        source.symlink_to(path.resolve())
        shapes = ",".join(f"[{','.join(map(str, x.shape))}]" for x in feed.values())
        try:
            run = subprocess.run([str(CONVERTER), str(source), f"inputshape={shapes}", "fp16=0"],
                                 cwd=folder, capture_output=True, text=True, timeout=CONVERSION_S)
        except subprocess.TimeoutExpired:
            raise peers.Refused(f"pnnx did not end in {CONVERSION_S} s") from None
        made = [source.with_name(f"network.ncnn.{part}") for part in ("param", "bin")]
        if run.returncode or not all(f.exists() for f in made):
            raise peers.Refused(f"pnnx ends with {run.returncode}: {last_line(run.stderr or run.stdout)}")
        shutil.move(made[0], param)
        shutil.move(made[1], weights)
    return param, weights


class Session:
    def __init__(self, path, feed, threads):
        param, weights = converted(path, feed)
        self._net = ncnn.Net()
        option = self._net.opt
        option.num_threads = threads
        option.use_vulkan_compute = option.use_bf16_storage = False
        option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = False
        # What its own benchmark program has: memory of blobs is kept.
        self._pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        option.blob_allocator, option.workspace_allocator = self._pools
        if self._net.load_param(str(param)) or self._net.load_model(str(weights)):
            raise peers.Refused("ncnn does not load what pnnx has made of it")
        # Networks are of one image: a batch is not a dimension there. A layer that works in place copies
        # an input that ncnn has allocated; memory of others it would free.
        mats = [ncnn.Mat(np.ascontiguousarray(x[0])).clone() for x in feed.values()]
        self._inputs = list(zip(self._net.input_names(), mats))
        self._names = self._net.output_names()
        self._outputs = []

    def call(self):
        extractor = self._net.create_extractor()
        for name, mat in self._inputs:
            extractor.input(name, mat)
        self._outputs = [extractor.extract(name) for name in self._names]

    def outputs(self):
        if any(status for status, _ in self._outputs):
            raise peers.Refused("ncnn does not run it")
        return [np.array(mat) for _, mat in self._outputs]

    def close(self):
        # In this order: pools end the process if something of theirs is still in use.
        self._outputs = self._inputs = []
        self._net.clear()
        self._net = None
        self._pools = ()
