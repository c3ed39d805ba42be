"""Optionals, which are gone once a model is imported, against ONNX Runtime."""
import onnx.helper
import onnx.parser
import pytest

from test_onnx_forms import HEAD, check, refused

TENSOR = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [2, 6])


def with_types(graph):
    """The parser knows no attribute that is a type: every Optional without input gets one."""
    for node in graph.node:
        if node.op_type == "Optional" and not node.input:
            node.attribute.append(onnx.helper.make_attribute("type", TENSOR))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                with_types(attribute.g)


def model(outputs, body):
    made = onnx.parser.parse_model(
        HEAD + f"main (float[2,6] x, float[2,6] z) => ({outputs}) "
        f"<int64 zero = {{0}}, int64 one = {{1}}> {{ {body} }}")
    with_types(made.graph)
    return made


@pytest.mark.parametrize("outputs, body", [
    # A tensor, or a sequence of them, and what it is taken for.
    ("float[2,6] y, bool h", """
        n = Neg(x)  o = Optional(n)  i = Identity(o)  h = OptionalHasElement(i)
        g = OptionalGetElement(i)  y = Add(g, z)"""),
    ("float[2,6] y, bool h", """
        s = SequenceConstruct(x, z)  o = Optional(s)  h = OptionalHasElement(o)
        t = OptionalGetElement(o)  y = SequenceAt(t, one)"""),
    # One without an element decides what becomes of an If.
    ("float[2,6] y, bool h", """
        o = Optional()  i = Identity(o)  h = OptionalHasElement(i)
        y = If (h) <then_branch = some () => (float[2,6] a) { g = OptionalGetElement(i)  a = Add(g, x) },
                    else_branch = none () => (float[2,6] b) { b = Neg(x) }>"""),
    ("float[2,6] y", """
        o = Optional(z)  h = OptionalHasElement(o)
        y = If (h) <then_branch = some () => (float[2,6] a) { g = OptionalGetElement(o)  a = Add(g, x) },
                    else_branch = none () => (float[2,6] b) { b = Neg(x) }>"""),
    # A branch gives one, or none.
    ("float[2,6] y", """
        go = Constant <value = bool {1}> ()
        o = If (go) <then_branch = some () => (optional(float[2,6]) a) { a = Optional(x) },
                     else_branch = none () => (optional(float[2,6]) b) { b = Optional() }>
        g = OptionalGetElement(o)  y = Mul(g, z)"""),
    # Tensors and sequences are taken as they are.
    ("float[2,6] y, bool h", """
        h = OptionalHasElement(x)  g = OptionalGetElement(x)  y = Sub(g, z)"""),
])
def test_optionals(outputs, body, tmp_path):
    check(model(outputs, body), tmp_path)


@pytest.mark.parametrize("body, reason", [
    ("o = Optional()  y = OptionalGetElement(o)", "its optional has no element"),
    ("o = Optional()  y = Add(o, x)", "input 0 is an empty optional"),
    ("o = Optional()  y = SequenceAt(o, zero)", "input 0 is no sequence"),
    ("y = Optional()", "output 'y' is an empty optional"),
    ("s = SequenceConstruct(x)  o = Optional(s)  y = Neg(o)", "input 0 is a sequence"),
    ("""r = ReduceMax <keepdims = 0> (x)  f = Cast <to = 1> (zero)  c = Greater(r, f)
        o = If (c) <then_branch = some () => (optional(float[2,6]) a) { a = Optional(x) },
                    else_branch = none () => (optional(float[2,6]) b) { b = Optional() }>
        y = OptionalGetElement(o)""", "is an empty optional"),
])
def test_optionals_refused(body, reason, tmp_path):
    refused(model("float[2,6] y", body), reason, tmp_path)
