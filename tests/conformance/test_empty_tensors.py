"""Tensors of no elements inside a model, against ONNX Runtime: what joins them leaves them out."""
import subprocess

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest

import hsched

RNG = np.random.default_rng(11)
HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'


def loaded(model, tmp_path, symbols=None):
    path = tmp_path / "empty.onnx"
    onnx.save(model, path)
    runtime = hsched.Runtime(cpu_workers=1)
    return runtime, path, runtime.load(path, symbols=symbols or {})


def check(text, feed, tmp_path, symbols=None):
    model = onnx.parser.parse_model(HEAD + text)
    names = [o.name for o in model.graph.output]
    expected = ort.InferenceSession(model.SerializeToString(),
                                    providers=["CPUExecutionProvider"]).run(names, feed)
    runtime, _, network = loaded(model, tmp_path, symbols)
    with runtime:
        found = network.infer_exactly(feed)
    for name, value in zip(names, expected):
        assert found[name].dtype == value.dtype and found[name].shape == value.shape, name
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    return network


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CONSTANT = "Constant <value = {type}[{size}] {{{values}}}> ()"


def ints(*values):
    return CONSTANT.format(type="int64", size=len(values), values=", ".join(map(str, values)))


def test_a_roll_by_nothing(tmp_path):
    """As torch.roll(x, (-3, 0), (1, 2)) is written: two slices of each axis, joined."""
    check(f"""main (float[2,7,7,4] x) => (float[2,7,7,4] y) {{
        zero = {ints(0)}  three = {ints(3)}  all = {ints(9223372036854775807)}  one = {ints(1)}  two = {ints(2)}
        a = Slice (x, three, all, one)
        b = Slice (x, zero, three, one)
        c = Concat <axis = 1> (a, b)
        d = Slice (c, zero, all, two)
        e = Slice (c, zero, zero, two)
        y = Concat <axis = 2> (e, d, e)
      }}""", {"x": floats(2, 7, 7, 4)}, tmp_path)


def test_a_mask_of_windows(tmp_path):
    """Regions of a mask are written by ScatterND, one of them empty, then compared."""
    check(f"""main (float[1,4,4] x) => (float[1,4,4] y) {{
        shape = {ints(4)}
        m = ConstantOfShape <value = float[1] {{0}}> (shape)
        none = Constant <value = int64[0,1] {{}}> ()
        nothing = Constant <value = float[0] {{}}> ()
        some = Constant <value = int64[2,1] {{1, 3}}> ()
        values = Constant <value = float[2] {{1, 2}}> ()
        a = ScatterND (m, none, nothing)
        b = ScatterND (a, some, values)
        zero = {ints(0)}  one = {ints(1)}
        r = Unsqueeze (b, zero)
        c = Unsqueeze (b, one)
        d = Sub (r, c)
        z = Constant <value = float {{0}}> ()
        low = Constant <value = float {{-100}}> ()
        same = Equal (d, z)
        mask = Where (same, z, low)
        y = Add (x, mask)
      }}""", {"x": floats(1, 4, 4)}, tmp_path)


def test_nothing_is_put(tmp_path):
    check("""main (float[4] x) => (float[4] y) {
        none = Constant <value = int64[0,1] {}> ()
        nothing = Constant <value = float[0] {}> ()
        h = Neg (x)
        y = ScatterND (h, none, nothing)
      }""", {"x": floats(4)}, tmp_path)


def test_the_rest_of_a_split(tmp_path):
    """What is not rotated is nothing; what is computed on it neither."""
    check(f"""main (float[2,3,8] x) => (float[2,3,8] y, int64[3] s) {{
        sizes = {ints(8, 0)}
        a, rest = Split <axis = 2> (x, sizes)
        b = Sin (a)
        half = Constant <value = float {{0.5}}> ()
        c = Mul (rest, half)
        d = Gelu (c)
        e = Add (d, d)
        s = Shape (e)
        y = Concat <axis = 2> (b, e)
      }}""".replace("Gelu", "HardSwish"), {"x": floats(2, 3, 8)}, tmp_path)


def test_repeated_not_at_all(tmp_path):
    check(f"""main (float[1,3] x) => (float[2,3] y, float[3] m, float p) {{
        none = {ints(0, 3)}  never = {ints(0, 1)}  no = Constant <value = int64[0] {{}}> ()  zero = {ints(0)}
        a = Expand (x, none)
        b = Tile (x, never)
        c = Gather <axis = 0> (x, no)
        y = Concat <axis = 0> (a, x, b, c, x)
        m = ReduceMax <keepdims = 0> (a, zero)
        p = ReduceProd <keepdims = 0> (a)
      }}""", {"x": floats(1, 3)}, tmp_path)


def test_padded(tmp_path):
    check(f"""main (float[2,3] x) => (float[2,5] y) {{
        zero = {ints(0)}  one = {ints(1)}  pads = {ints(0, 2, 0, 0)}
        none = Slice (x, zero, zero, one)
        value = Constant <value = float {{1.5}}> ()
        p = Pad (none, pads, value)
        y = Concat <axis = 1> (p, x)
      }}""", {"x": floats(2, 3)}, tmp_path)


CACHE = """main (float[N,4,P,8] past, float[N,4,T,8] x) => (float[N,4,K,8] present, float[N,4,T,K] y) {
    present = Concat <axis = 2> (past, x)
    t = Transpose <perm = [0, 1, 3, 2]> (present)
    y = MatMul (x, t)
  }"""


@pytest.mark.parametrize("past", [0, 5])
def test_a_cache_that_is_empty_at_first(past, tmp_path):
    feed = {"past": floats(2, 4, past, 8), "x": floats(2, 4, 3, 8)}
    network = check(CACHE, feed, tmp_path, {"N": 2, "P": past, "T": 3})
    assert [name for name, _, _ in network.inputs] == (["past", "x"] if past else ["x"])


def test_sizes_stay_open_beside_what_is_left_out(tmp_path):
    """An empty slice pins only the dimension that it is empty along."""
    model = onnx.parser.parse_model(HEAD + f"""main (float[N,3] x) => (float[N,3] y) {{
        zero = {ints(0)}  one = {ints(1)}
        none = Slice (x, zero, zero, one)
        y = Concat <axis = 1> (none, x)
      }}""")
    path = tmp_path / "open.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as rt:
        network = rt.load(path, symbols={"N": 2})
        x = floats(2, 3)
        np.testing.assert_array_equal(network.infer_exactly({"x": x})["y"], x)


@pytest.mark.parametrize("text, reason", [
    (f"main (float[2,3] x) => (int64[2] y) {{ z = {ints(0)}  o = {ints(1)}  e = Slice (x, z, z, o)"
     " y = ArgMax <axis = 1, keepdims = 0> (e) }", "is empty"),
])
def test_what_would_have_to_run_is_refused(text, reason, tmp_path):
    path = tmp_path / "refused.onnx"
    onnx.save(onnx.parser.parse_model(HEAD + text), path)
    with hsched.Runtime(cpu_workers=1) as rt, pytest.raises(hsched.HschedError, match=reason):
        rt.load(path)


@pytest.mark.parametrize("axis, keep", [(1, 1), (0, 1), (0, 0)])
def test_parts_of_a_sequence(axis, keep, tmp_path):
    """Listed parts of size 0, and a tensor of no elements in parts of one size."""
    check(f"""main (float[2,3] x, float[2,3] z) => (float[2,3] y, int64 n, int64 m, float[A,B] w) {{
        zero = {ints(0)}  one = {ints(1)}  parts = {ints(0, 2, 0, 1)}  first = Constant <value = int64 {{0}}> ()
        s = SplitToSequence <axis = 1> (x, parts)
        n = SequenceLength (s)
        y = ConcatFromSequence <axis = 1> (s)
        none = Slice (z, zero, zero, {'one' if axis == 0 else 'zero'})
        t = SplitToSequence <axis = {axis}, keepdims = {keep}> (none)
        m = SequenceLength (t)
        u = SequenceInsert (s, z)
        w = ConcatFromSequence <axis = 1> (u)
      }}""", {"x": floats(2, 3), "z": floats(2, 3)}, tmp_path)


def test_the_state_of_a_short_convolution(tmp_path):
    """A kernel of one element has none, whatever the signal's length."""
    model = onnx.parser.parse_model('<ir_version: 13, opset_import: ["" : 27]>\n'
        """main (float[1,2,T] x, float[1,2,T] z) => (float[1,2,T] y, float[1,2,K] w) {
        weights = Constant <value = float[2,1,1] {2.0, 3.0}> ()
        y, state = CausalConvWithState (x, weights)
        w = Concat <axis = 2> (state, z)
      }""")
    feed = {"x": floats(1, 2, 5), "z": floats(1, 2, 5)}
    runtime, _, network = loaded(model, tmp_path, {"T": 5})
    with runtime:
        found = network.infer_exactly(feed)
    np.testing.assert_allclose(found["y"], feed["x"] * [[[2], [3]]], rtol=1e-6)
    np.testing.assert_array_equal(found["w"], feed["z"])


OUTPUTS = f"""main (float[2,3] x) => (float[2,0] none, float[2,3] y, int64[0] shape, bool[0,3] never) {{
    zero = {ints(0)}  one = {ints(1)}  last = {ints(-1)}  flag = Cast <to = 9> (x)
    a = Slice (x, zero, zero, one)
    none = Identity (a)
    y = Neg (x)
    shape = Shape <start = 2> (x)
    never = Slice (flag, zero, zero, zero)
  }}"""


def test_outputs(tmp_path):
    """They lie between others, and nothing writes to them."""
    network = check(OUTPUTS, {"x": floats(2, 3)}, tmp_path)
    assert [shape for _, _, shape in network.outputs] == [(2, 0), (2, 3), (0,), (0, 3)]


def test_nothing_but_an_empty_output(tmp_path):
    check(f"""main (float[2,3] x) => (float[0,3] y) {{
        zero = {ints(0)}
        y = Slice (x, zero, zero, zero)
      }}""", {"x": floats(2, 3)}, tmp_path)
    check("main (float[N,3] x) => (float[N,3] y) { y = Neg (x) }", {"x": floats(0, 3)}, tmp_path,
          {"N": 0})


def test_saved_and_run_again(tmp_path):
    path, again = tmp_path / "outputs.onnx", tmp_path / "again.onnx"
    onnx.save(onnx.parser.parse_model(HEAD + OUTPUTS), path)
    subprocess.run([hsched.BUILD / "hsched", "export", path, again], check=True)
    onnx.checker.check_model(onnx.load(again))
    x = floats(2, 3)
    session = ort.InferenceSession(str(again), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    with hsched.Runtime(cpu_workers=1) as rt:
        found = rt.load(again).infer_exactly({"x": x})
    for name, value in zip(names, session.run(names, {"x": x})):
        assert found[name].shape == value.shape and found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
