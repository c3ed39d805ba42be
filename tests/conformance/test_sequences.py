"""Lists of tensors, which are gone once a model is imported, against ONNX Runtime."""
import onnx.parser
import pytest

from test_onnx_forms import HEAD, check, refused

INTS = ', '.join(f'int64 {name} = {{{value}}}' for name, value in
                 (("zero", 0), ("one", 1), ("two", 2), ("last", -1), ("three", 3)))


def model(outputs, body):
    return onnx.parser.parse_model(
        HEAD + f"main (float[2,6] x, float[2,6] z) => ({outputs}) <{INTS}, int64[2] parts = {{2, 4}}> "
        + f"{{ {body} }}")


@pytest.mark.parametrize("outputs, body", [
    # In front, behind, in between; constants as items; taken from both ends.
    ("float[2,6] y, float[2,6] w, float[2,6] v", """
        e = SequenceEmpty()  a = SequenceInsert(e, x)  b = SequenceInsert(a, z, zero)
        n = Neg(x)  c = SequenceInsert(b, n, last)
        y = SequenceAt(c, zero)  w = SequenceAt(c, one)  v = SequenceAt(c, last)"""),
    ("float[2,6] y, float[2,6] w", """
        n = Neg(x)  s = SequenceConstruct(x, n, z)  d = SequenceErase(s, last)  f = SequenceErase(s)
        i = Identity(f)  y = SequenceAt(d, one)  w = SequenceAt(i, zero)"""),
    # The length is a number that shapes are computed from.
    ("float[a,b] y", """
        s = SequenceConstruct(x, z)  n = SequenceLength(s)  r = Mul(n, three)
        minus = Neg(one)  p = Unsqueeze(r, axes)  q = Unsqueeze(minus, axes)
        shape = Concat <axis = 0> (p, q)  axes = Constant <value_ints = [0]> ()  y = Reshape(x, shape)"""),
    # To a sequence and back: parts of a size, listed ones, ones without their dimension.
    ("float[2,c] y, float[2,d] w", """
        s = SplitToSequence <axis = 1> (x, parts)  t = SplitToSequence <axis = -1> (z, two)
        a = SequenceAt(s, one)  y = ConcatFromSequence <axis = 1> (t)  b = SequenceAt(t, two)
        c = SequenceConstruct(a, b)  w = ConcatFromSequence <axis = -1> (c)"""),
    ("float[e,f] y, float[g,h,i] w", """
        s = SplitToSequence <axis = 1, keepdims = 0> (x)  y = ConcatFromSequence <axis = 0, new_axis = 1> (s)
        t = SequenceConstruct(x, z)  w = ConcatFromSequence <axis = -2, new_axis = 1> (t)"""),
    # Carried by a loop.
    ("float[j,k] y", """
        e = SequenceEmpty()  go = Constant <value = bool {1}> ()
        s = Loop (three, go, e) <body = each (int64 i, bool c, seq(float) before)
              => (bool d, seq(float) after) {
            f = Cast <to = 1> (i)  t = Mul(x, f)  after = SequenceInsert(before, t)  d = Identity(c) }>
        y = ConcatFromSequence <axis = 1> (s)"""),
])
def test_sequences(outputs, body, tmp_path):
    if "Constant <value_ints" in body:  # the parser wants nodes in order
        body = "axes = Constant <value_ints = [0]> () " + body.replace(
            "axes = Constant <value_ints = [0]> ()", "")
    check(model(outputs, body), tmp_path)


@pytest.mark.parametrize("body, reason", [
    ("s = SequenceConstruct(x, z)  y = SequenceAt(s, two)", "input 1 is no position in a sequence of 2"),
    ("s = SequenceConstruct(x, z)  e = SequenceErase(s)  f = SequenceErase(e)  g = SequenceErase(f) "
     "y = SequenceAt(g, zero)", "its sequence is empty"),
    ("s = SequenceConstruct(x)  y = Add(s, x)", "input 0 is a sequence"),
    ("y = SequenceAt(x, zero)", "input 0 is no sequence"),
    ("s = SequenceConstruct(x)  y = SequenceConstruct(s)", "input 0 is no tensor|input 0 is a sequence"),
    ("y = SequenceConstruct(x, z)", "output 'y' is a sequence"),
    ("s = SequenceConstruct(x, z)  p = Cast <to = 7> (x)  q = ReduceSum <keepdims = 0> (p) "
     "y = SequenceAt(s, q)", "computed at run time"),
    ("e = SequenceEmpty()  y = ConcatFromSequence <axis = 0> (e)", "its sequence is empty"),
    ("s = SplitToSequence (x, parts)  y = SequenceAt(s, zero)", "do not fit a dimension of 2"),
])
def test_sequences_refused(body, reason, tmp_path):
    refused(model("float[2,6] y", body), reason, tmp_path)
