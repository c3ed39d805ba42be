"""A network of convolutions and fully connected layers as tools that quantise models write it."""
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator


class Quantiser:
    def __init__(self, model, feed):
        self.graph, self.nodes, self.made = model.graph, [], set()
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}
        names = list(dict.fromkeys(node.input[0] for node in self.products()))
        wide = onnx.ModelProto.FromString(model.SerializeToString())
        known = {value.name for value in [*wide.graph.input, *wide.graph.output]}
        wide.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names if n not in known)
        asked = [name for name in names if name not in feed]
        self.values = {**feed, **dict(zip(asked, ReferenceEvaluator(wide).run(asked, feed)))}

    def products(self):
        return [node for node in self.graph.node if node.op_type in ("Conv", "Gemm")]

    def constant(self, name, value):
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def scheme(self, name, scale, dtype):
        """Its scale and zero point, 0."""
        return [self.constant(f"{name}.scale", np.float32(scale)), self.constant(f"{name}.zero", dtype(0))]

    def levels(self, name):
        """Of what is never negative."""
        if name not in self.made:
            self.made.add(name)
            scheme = self.scheme(name, self.values[name].max() / 255, np.uint8)
            self.nodes += [helper.make_node("QuantizeLinear", [name, *scheme], [f"{name}.levels"]),
                           helper.make_node("DequantizeLinear", [f"{name}.levels", *scheme], [f"{name}.meant"])]
        return f"{name}.meant"

    def whole(self, name):
        """Weights of 8 bits."""
        weights, scale = self.weights[name], np.abs(self.weights[name]).max() / 127
        scheme = self.scheme(name, scale, np.int8)
        levels = self.constant(f"{name}.levels", np.rint(weights / scale).astype(np.int8))
        self.nodes.append(helper.make_node("DequantizeLinear", [levels, *scheme], [f"{name}.meant"]))
        return f"{name}.meant"

    def run(self):
        for node in self.graph.node:
            if node.op_type in ("Conv", "Gemm"):
                node.input[0], node.input[1] = self.levels(node.input[0]), self.whole(node.input[1])
            self.nodes.append(node)
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self.nodes]
        del self.graph.node[:]
        self.graph.node.extend(nodes)


def quantise(path, to, feed):
    """Writes the model with levels of 8 bits in front of its products. None of their inputs is negative; `feed`
    shows how large they get."""
    model = onnx.load(path)
    Quantiser(model, feed).run()
    onnx.checker.check_model(model)
    onnx.save(model, to)
