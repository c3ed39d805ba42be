"""Calls that can be repeated without Python's own time between them (repeat.c)."""
import ctypes as c

import hsched

PATH = hsched.BUILD / "bench" / "repeat.so"


def library():
    if not PATH.exists():
        raise SystemExit(f"{PATH} is missing: 'make {PATH}'")
    lib = c.CDLL(str(PATH))
    lib.repeat_infer.argtypes = [c.c_uint64, *hsched.LIB.hsched_infer.argtypes]
    lib.repeat_function.argtypes = [c.c_uint64, c.c_void_p, c.c_void_p]
    return lib


LIB = library()
# With the interpreter's lock, which its functions need; an exception of a call becomes one here.
PYTHON = c.PyDLL(str(PATH))
PYTHON.repeat_python.argtypes = [c.c_uint64, c.py_object]


class Call:
    """call() is repeat(1); repeat(n) makes n calls."""

    def __init__(self, repeat):
        self.repeat = repeat

    def __call__(self):
        self.repeat(1)


def of_model(model, feed):
    """Of libhsched, on fixed memory; its attribute outputs is what it fills."""
    ins, outs = model.arrays(feed)
    arguments = model.handle, hsched.bindings(ins), len(ins), hsched.bindings(outs), len(outs)

    def repeat(count, keep=(ins, outs)):
        hsched.check(LIB.repeat_infer(count, *arguments))
    call = Call(repeat)
    call.outputs = outs
    return call


def of_function(function, argument, check):
    """Of a C function of one pointer, whose status check() looks at."""
    address = c.cast(function, c.c_void_p)
    return Call(lambda count: check(LIB.repeat_function(count, address, argument)))


def of_callable(callable):
    """Of what Python calls; what the package does on the way into its engine is in it."""
    return Call(lambda count: PYTHON.repeat_python(count, callable))
