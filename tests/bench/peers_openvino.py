"""OpenVINO, on the CPU, through its C API: the Python one takes 3 us more a call."""
import ctypes as c
import pathlib

import numpy as np
import openvino

import peers
import repeat

TITLE = "OpenVINO"
VERSION = openvino.__version__.split("-")[0]


def library():
    found = sorted((pathlib.Path(openvino.__file__).parent / "libs").glob("libopenvino_c.so*"))
    if not found:
        raise ImportError("this package of openvino has no C API (libopenvino_c.so)")
    lib = c.CDLL(str(found[0]))
    lib.ov_get_last_err_msg.restype = c.c_char_p
    handle, out = c.c_void_p, c.POINTER(c.c_void_p)
    for name, arguments in {
            "ov_core_create": [out],
            "ov_core_compile_model_from_file": None,  # takes properties as it is given them
            "ov_compiled_model_create_infer_request": [handle, out],
            "ov_compiled_model_inputs_size": [handle, c.POINTER(c.c_size_t)],
            "ov_compiled_model_outputs_size": [handle, c.POINTER(c.c_size_t)],
            "ov_infer_request_get_tensor": [handle, c.c_char_p, out],
            "ov_infer_request_get_output_tensor_by_index": [handle, c.c_size_t, out],
            "ov_infer_request_infer": [handle],
            "ov_tensor_data": [handle, out],
            "ov_tensor_get_byte_size": [handle, c.POINTER(c.c_size_t)]}.items():
        getattr(lib, name).argtypes = arguments
    for name in ("ov_core_free", "ov_compiled_model_free", "ov_infer_request_free", "ov_tensor_free"):
        getattr(lib, name).argtypes = [handle]
        getattr(lib, name).restype = None
    return lib


LIB = library()
CORE = c.c_void_p()


def check(status):
    if status != 0:
        raise peers.Refused((LIB.ov_get_last_err_msg() or b"").decode().strip() or f"status {status}")


def made(function, *arguments):
    """The handle that a function gives through its last parameter."""
    handle = c.c_void_p()
    check(function(*arguments, c.byref(handle)))
    return handle


class Session:
    """float32 is asked for: bfloat16 would be taken where the processor has it."""

    def __init__(self, path, feed, threads):
        self._model = self._request = None
        if not CORE:
            check(LIB.ov_core_create(c.byref(CORE)))
        properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
                      "INFERENCE_NUM_THREADS": str(threads)}
        words = [c.c_char_p(w.encode()) for pair in properties.items() for w in pair]
        self._model = c.c_void_p()
        check(LIB.ov_core_compile_model_from_file(
            CORE, c.c_char_p(str(path).encode()), c.c_char_p(b"CPU"), c.c_size_t(len(words)),
            c.byref(self._model), *words))
        self._request = made(LIB.ov_compiled_model_create_infer_request, self._model)
        self.call = repeat.of_function(LIB.ov_infer_request_infer, self._request, check)
        for name, array in feed.items():
            tensor = made(LIB.ov_infer_request_get_tensor, self._request, name.encode())
            c.memmove(self._data(tensor, array.nbytes), array.ctypes.data, array.nbytes)
            LIB.ov_tensor_free(tensor)

    @staticmethod
    def _data(tensor, expected=None):
        """The address of its elements; if they are as many bytes as expected."""
        size = c.c_size_t()
        check(LIB.ov_tensor_get_byte_size(tensor, c.byref(size)))
        if expected is not None and size.value != expected:
            raise peers.Refused(f"an input has {size.value} bytes instead of {expected}")
        return made(LIB.ov_tensor_data, tensor)

    def outputs(self):
        count = c.c_size_t()
        check(LIB.ov_compiled_model_outputs_size(self._model, c.byref(count)))
        arrays = []
        for i in range(count.value):
            tensor = made(LIB.ov_infer_request_get_output_tensor_by_index, self._request, i)
            size = c.c_size_t()
            check(LIB.ov_tensor_get_byte_size(tensor, c.byref(size)))
            arrays.append(np.frombuffer(c.string_at(self._data(tensor), size.value), np.float32))
            LIB.ov_tensor_free(tensor)
        return arrays

    def close(self):
        if self._request:
            LIB.ov_infer_request_free(self._request)
        if self._model:
            LIB.ov_compiled_model_free(self._model)
        self._request = self._model = None
