"""ONNX Runtime, on the CPU. The package exports no C functions; with inputs and outputs bound once, a call is of
the method that its module in C++ has, without what its Python does before it."""
import functools

import numpy as np
import onnxruntime as ort

import hsched
import repeat

TITLE = "ONNX Runtime"
VERSION = ort.__version__


def session(path, threads):
    """Of so many threads; 0: as many as ONNX Runtime takes when nobody says."""
    options = ort.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def bound(session, feed, expected):
    """A callable that runs the session on fixed memory, as libhsched does, and the outputs that it fills, of the
    expected ones' types and shapes."""
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    filled = [hsched.aligned(np.empty_like(y)) for y in expected]
    for output, y in zip(session.get_outputs(), filled):
        binding.bind_output(output.name, "cpu", 0, y.dtype, y.shape, y.ctypes.data)
    method = functools.partial(session._sess.run_with_iobinding, binding._iobinding, None)
    call = repeat.of_callable(method)
    call.kept = session, binding, feed, filled
    return call, filled


class Session:
    def __init__(self, path, feed, threads):
        opened = session(path, threads)
        self.call, self._outputs = bound(opened, feed, opened.run(None, feed))

    def outputs(self):
        return [y.copy() for y in self._outputs]

    def close(self):
        self.call = None  # what it holds, the session among it, goes with it
