"""libhsched as a backend of the ONNX package (onnx.backend.base): one CPU worker, tensors in and out; as
device CUDA with the GPU beside it, which does what it can, in float32.

The library compiles a model for shapes and weights that are known, as exporters write them. Cases of one
operator give these as inputs, too (axes, scales, the weights of a convolution): a model that is refused
as it is is tried again with all inputs but the first as constants of their values. Where sizes and numbers
of iterations come from the first one, too (Range, HannWindow, Loop), it is a constant like the others."""
import functools
import pathlib
import tempfile

import numpy as np
import onnx
import onnx.numpy_helper
from onnx.backend.base import Backend, BackendRep

import hsched


def given_inputs(graph, count):
    """The inputs that a caller passes: those without a value in the model, unless all are given."""
    named = [i for i in graph.input]
    if count == len(named):
        return named
    stored = {i.name for i in graph.initializer}
    return [i for i in named if i.name not in stored]


def tensors_only(values):
    """Sequences and the like end here: what the binding passes are tensors."""
    for info in values:
        kind = info.type.WhichOneof("value")
        if kind not in (None, "tensor_type"):
            raise hsched.HschedError(f"value {info.name}: {kind.removesuffix('_type')}s are no tensors")


def symbol_values(inputs, arrays):
    """Symbols take the sizes that the arrays have."""
    found = {}
    for info, array in zip(inputs, arrays):
        for dim, size in zip(info.type.tensor_type.shape.dim, array.shape):
            if dim.dim_param:
                found[dim.dim_param] = size
    return found


def with_constants(model, values):
    """The model with these inputs (name -> array) as initializers."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = [i for i in fixed.graph.input if i.name not in values]
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    fixed.graph.initializer.extend(onnx.numpy_helper.from_array(array, name)
                                   for name, array in values.items())
    return fixed


# What the library says where only a constant will do.
NEEDS_CONSTANTS = ("can be computed from constants and shapes while importing",
                   "iterations or a condition that is computed at run time")


@functools.cache
def runtime_on(device):
    """One for all cases of this process: a GPU takes its time to open."""
    flags = hsched.NO_GPU if device == "CPU" else hsched.NO_GRAPHS
    runtime = hsched.Runtime(cpu_workers=1, flags=flags)
    if device != "CPU" and not runtime.has_gpu():
        raise RuntimeError("no GPU is usable here; `hsched info` says why")
    return runtime


def padded_outputs(graph):
    """The outputs whose rows are those of a NonMaxSuppression, with rows of -1 behind them: the library's
    tensors have sizes that do not depend on data. What is made of such a result is moved row by row."""
    padded = set()
    for node in graph.node:
        if node.op_type == "NonMaxSuppression" or (node.input and node.input[0] in padded):
            padded.update(node.output)
    return padded


def without_padding(array):
    """The rows that stand for something, as a user of the library would take them."""
    return array[(array.reshape(len(array), -1) != -1).any(axis=1)]


def infer(model, infos, arrays, device):
    feed = {info.name: array for info, array in zip(infos, arrays)}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        loaded = runtime_on(device).load(path, symbols=symbol_values(infos, arrays),
                                         math=hsched.MATH_STRICT)
    try:
        return loaded.infer_exactly(feed)
    finally:
        loaded.close()


class Prepared(BackendRep):
    """A checked model. It is loaded when it runs: symbols get their values from the inputs then."""

    fixed = 0  # runs, of all models in this process, that needed their other inputs as constants
    all_fixed = 0  # and those that needed the first one, too
    on_gpu = 0  # runs of which the GPU did a part

    def __init__(self, model, device):
        self.model = model
        self.device = device

    def run(self, inputs, **_):
        graph = self.model.graph
        infos = given_inputs(graph, len(inputs))
        tensors_only([*infos, *graph.output])
        if len(infos) != len(inputs):
            raise hsched.HschedError(f"{len(inputs)} inputs were given, the model has {len(infos)}")
        arrays = [np.asarray(i) for i in inputs]
        before = runtime_on(self.device).gpu_steps()
        found = self.infer(infos, arrays)
        Prepared.on_gpu += runtime_on(self.device).gpu_steps() > before
        padded = padded_outputs(graph)
        return [without_padding(found[o.name]) if o.name in padded else found[o.name]
                for o in graph.output]

    def infer(self, infos, arrays):
        try:
            return infer(self.model, infos, arrays, self.device)
        except hsched.HschedError as error:
            if len(infos) < 2:
                return self.infer_constants(error, infos, arrays)
        try:
            found = self.infer_fixed(1, infos, arrays)
        except hsched.HschedError as error:
            return self.infer_constants(error, infos, arrays)
        Prepared.fixed += 1
        return found

    def infer_constants(self, error, infos, arrays):
        """What was refused with that error, if a constant as first input would mend it."""
        if not infos or not any(text in str(error) for text in NEEDS_CONSTANTS):
            raise error
        found = self.infer_fixed(0, infos, arrays)
        Prepared.all_fixed += 1
        return found

    def infer_fixed(self, first, infos, arrays):
        """With inputs from that one on as constants."""
        values = {i.name: a for i, a in zip(infos[first:], arrays[first:])}
        return infer(with_constants(self.model, values), infos[:first], arrays[:first],
                     self.device)


class HschedBackend(Backend):
    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        super().prepare(model, device, **kwargs)
        if not cls.supports_device(device):
            raise hsched.HschedError(f"no device {device}")
        return Prepared(model, device.split(":")[0])

    @classmethod
    def supports_device(cls, device):
        """That of CUDA shows when it runs: looking for one here would spoil forked processes."""
        return device.split(":")[0] in ("CPU", "CUDA")
