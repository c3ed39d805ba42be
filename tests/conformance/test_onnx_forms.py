"""Models in forms that exporters write, against ONNX Runtime: functions, control flow, old opsets."""
import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest

import hsched


def feed_of(model, seed=3):
    rng = np.random.default_rng(seed)
    stored = {i.name for i in model.graph.initializer}
    feed = {}
    for info in model.graph.input:
        if info.name not in stored:
            shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            feed[info.name] = rng.standard_normal(shape).astype(dtype)
    return feed


def ours(model, feed, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    with hsched.Runtime(cpu_workers=1) as runtime:
        return runtime.load(path).infer(feed)


def check(model, tmp_path, expected=None):
    feed = feed_of(model)
    names = [o.name for o in model.graph.output]
    if expected is None:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        expected = dict(zip(names, session.run(names, feed)))
    found = ours(model, feed, tmp_path)
    for name in names:
        assert found[name].shape == expected[name].shape, name
        assert hsched.relative_error(found[name], expected[name]) < 1e-5, name


def refused(model, reason, tmp_path):
    with pytest.raises(hsched.HschedError, match=reason):
        ours(model, feed_of(model), tmp_path)


HEAD = '<ir_version: 9, opset_import: ["" : 18, "own" : 1]>\n'
FUNCTION_HEAD = '<domain: "own", opset_import: ["" : 18, "own" : 1]>\n'


@pytest.mark.parametrize("text", [
    # Names inside that are names outside; two calls; a call in a call; the output named as inside.
    """main (float[2,3] x, float[2,3] t) => (float[2,3] y, float[2,3] z) {
         u = own.twice <alpha = 0.5> (x, t)
         y = own.twice <alpha = 2.0> (u, x)
         z = own.outer (t)
       }""" + FUNCTION_HEAD + """inner (x) => (y) { t = Neg(x)  y = Exp(t) }""" +
    FUNCTION_HEAD + """outer (x) => (z) { t = own.inner(x)  z = own.inner(t) }""" +
    FUNCTION_HEAD + """twice <alpha> (a, b) => (t) { u = LeakyRelu <alpha: float = @alpha> (a)  t = Add(u, b) }""",
    # Control flow in a function captures the function's names.
    """main (float[2,3] x) => (float[2,3] y) {
         y = own.f (x)
       }""" + FUNCTION_HEAD + """f (a) => (y) {
         n = Neg(a)
         r = Size(a)
         six = Constant <value_int: int = 6> ()
         c = Equal(r, six)
         y = If (c) <then_branch = yes () => (float[2,3] t) { t = Mul(n, n) },
                     else_branch = no () => (float[2,3] m) { m = Exp(a) }>
       }""",
])
def test_functions(text, tmp_path):
    check(onnx.parser.parse_model(HEAD + text), tmp_path)


def test_function_passes_an_input_on(tmp_path):
    """A default of an attribute; an optional input left out; an output that nobody uses."""
    model = onnx.parser.parse_model(HEAD + """main (float[2,3] x) => (float[2,3] y, float[2,3] z) {
         y, , z = own.f (x)
       }""" + FUNCTION_HEAD + """f <alpha: float = 0.25> (x, low) => (a, b, x) {
         t = LeakyRelu <alpha: float = @alpha> (x)
         a = Clip(t, low)
         b = Neg(x)
       }""")
    x = feed_of(model)["x"]
    check(model, tmp_path, {"y": np.where(x < 0, x * 0.25, x), "z": x})


@pytest.mark.parametrize("text, reason", [
    ("main (float[1] x) => (float[1] y) { y = own.f(x) }" + FUNCTION_HEAD + "f (x) => (y) { y = own.g(x) }"
     + FUNCTION_HEAD + "g (x) => (y) { y = own.f(x) }", "calls itself"),
    ("main (float[1] x) => (float[1] y) { y = own.f(x) }" + FUNCTION_HEAD + "f (x) => (y) { y = Neg(z) }",
     "which nothing makes"),
    ("main (float[1] x) => (float[1] y) { y = own.f(x, x) }" + FUNCTION_HEAD + "f (x) => (y) { y = Neg(x) }",
     "more inputs"),
    ("main (float[1] x) => (float[1] y) { y = own.f0(x) }" + "".join(
        FUNCTION_HEAD + f"f{k} (x) => (y) {{ t = own.f{k + 1}(x)  y = own.f{k + 1}(t) }}" for k in range(25))
     + FUNCTION_HEAD + "f25 (x) => (y) { y = Neg(x) }", "simplify the model"),
])
def test_functions_refused(text, reason, tmp_path):
    refused(onnx.parser.parse_model(HEAD + text), reason, tmp_path)


@pytest.mark.parametrize("text", [
    # Three iterations, a captured value, a carried value, one collected value, the iteration's number.
    """main (float[2,3] x) => (float[2,3] y, float[3,2,3] all) <int64 three = {3}, bool go = {1}> {
         y, all = Loop (three, go, x) <
           body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] w, float[2,3] u) {
             d = Identity(c)
             f = Cast <to = 1> (i)
             g = Add(f, v)
             w = Mul(g, x)
             u = Neg(w)
           }>
       }""",
    # No condition at all; a body that ends the loop; carried values that swap places.
    """main (float[2,3] x, float[2,3] z) => (float[2,3] y, float[2,3] w, float[2,3] q) <int64 three = {3}, int64 six = {6}> {
         y, w = Loop (three, , x, z) <
           body = b (int64 i, bool c, float[2,3] v, float[2,3] u) => (bool c, float[2,3] u, float[2,3] v) { }>
         q = Loop (six, , z) <
           body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] e) {
             d = Constant <value = bool {0}> ()
             e = Exp(v)
           }>
       }""",
    # A loop in a loop, whose count is the outer iteration's number plus one.
    """main (float[2,3] x) => (float[2,3] y) <int64 three = {3}, int64 one = {1}> {
         y = Loop (three, , x) <
           body = b (int64 i, bool c, float[2,3] v) => (bool c, float[2,3] w) {
             n = Add(i, one)
             w = Loop (n, , v) <
               body = bb (int64 j, bool c, float[2,3] v) => (bool c, float[2,3] w) { w = Add(v, x) }>
           }>
       }""",
])
def test_control_flow(text, tmp_path):
    check(onnx.parser.parse_model(HEAD + text), tmp_path)


def test_nested_branches(tmp_path):
    """A condition from a shape; initialisers in a branch; results that are captured or listed twice."""
    model = onnx.parser.parse_model(HEAD + """main (float[2,3] x) => (float[2,3] y, float[2,3] z, float[2,3] w)
       <int64[1] two = {2}, int64[1] zero = {0}> {
         s = Shape(x)
         first = Gather(s, zero)
         c = Equal(first, two)
         k = Squeeze(c, zero)
         y, z, w = If (k) <
           then_branch = yes () => (t, x, t) {
             n = Not(k)
             t = If (n) <then_branch = a () => (q) { q = Neg(x) },
                         else_branch = b () => (q) <float[1] h = {0.5}> { q = Add(x, h) }>
           },
           else_branch = no () => (p, p, p) { p = Exp(x) }>
       }""")
    x = feed_of(model)["x"]
    half = np.float32(0.5)
    check(model, tmp_path, {"y": x + half, "z": x, "w": x + half})


BOTH = """main (float[2,3] x, bool{shape} c) => (float[2,3] y, float z, int64[2] w) {{
  n = Neg(x)
  y, z, w = If (c) <
    then_branch = yes () => (float[2,3] t, float one, int64[2] k) {{
      t = Mul(n, n)  one = Constant <value = float {{1}}> ()  k = Shape(x) }},
    else_branch = no () => (float[2,3] n, float m, int64[2] k) <int64[2] k = {{7, 8}}> {{ m = ReduceSum <keepdims = 0> (x) }}>
}}"""


@pytest.mark.parametrize("shape", ["", "[1]"])
@pytest.mark.parametrize("condition", [False, True])
def test_a_condition_at_run_time(shape, condition, tmp_path):
    """Both branches are computed, and one is chosen; what a branch gives may be captured or constant."""
    model = onnx.parser.parse_model(HEAD + BOTH.format(shape=shape))
    x = feed_of(model)["x"]
    feed = {"x": x, "c": np.full([1] if shape else [], condition)}
    found = ours(model, feed, tmp_path)
    expected = (x * x, np.float32(1), [2, 3]) if condition else (-x, x.sum(), [7, 8])
    for name, value in zip("yzw", expected):
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_a_condition_inside_a_loop(tmp_path):
    check(onnx.parser.parse_model(HEAD + """main (float[2] x) => (float[2] y) <int64 four = {4}, float limit = {1.5}> {
         y = Loop (four, , x) <
           body = step (int64 i, bool c, float[2] v) => (bool c, float[2] w) {
             s = ReduceSum <keepdims = 0> (v)
             more = Less (s, limit)
             w = If (more) <then_branch = a () => (float[2] t) { t = Add(v, v) }, else_branch = b () => (float[2] t) { t = Neg(v) }>
           }>
       }"""), tmp_path)


ENDING = """main (float[2] x, float[2] z, bool go) => (float[2] y, float[2] w, int64 n)
    <int64 most = {6}, float limit = {%s}, int64 zero = {0}, bool yes = {1}> {
      y, w, n = Loop (most, %s, x, z, zero) <
        body = step (int64 i, bool c, float[2] v, float[2] u, int64 k) => (bool more, float[2] u, float[2] t, int64 m) {
          f = Cast <to = 1> (i)
          t = Add(v, f)
          s = ReduceSum <keepdims = 0> (t)
          more = %s
          m = Add(i, i)
        }>
    }"""


@pytest.mark.parametrize("limit", [-100.0, 0.5, 3.0, 8.0, 100.0])
@pytest.mark.parametrize("begin", ["", "yes", "go"])
@pytest.mark.parametrize("more", ["Less(s, limit)", "Identity(c)", "Constant <value = bool {0}> ()",
                                  "Not(go)"])
def test_a_loop_that_ends_at_run_time(limit, begin, more, tmp_path):
    model = onnx.parser.parse_model(HEAD + ENDING % (limit, begin, more))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for go in (False, True):
        feed = {**feed_of(model), "go": np.array(go)}
        found = ours(model, feed, tmp_path)
        for name, value in zip("ywn", session.run(["y", "w", "n"], feed)):
            np.testing.assert_allclose(found[name], value, rtol=1e-6)


def test_a_loop_that_ends_by_what_is_known(tmp_path):
    """The condition follows from numbers, so that nothing is chosen at run time."""
    check(onnx.parser.parse_model(HEAD + """main (float[2] x) => (float[2] y) <int64 most = {9}, int64 three = {3}> {
         y = Loop (most, , x) <
           body = step (int64 i, bool c, float[2] v) => (bool more, float[2] w) {
             more = Less(i, three)  f = Cast <to = 1> (i)  w = Sub(f, v) }>
       }"""), tmp_path)


def test_loops_that_end_in_loops(tmp_path):
    check(onnx.parser.parse_model(HEAD + """main (float[2] x) => (float[2] y) <int64 three = {3}, float limit = {1.5}> {
         y = Loop (three, , x) <
           body = step (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
             w = Loop (three, , v) <
               body = inner (int64 j, bool cc, float[2] a) => (bool dd, float[2] b) {
                 b = Add(a, x)  s = ReduceMax <keepdims = 0> (b)  dd = Less(s, limit) }>
             r = ReduceMin <keepdims = 0> (w)  d = Greater(r, limit) }>
       }"""), tmp_path)


@pytest.mark.parametrize("text", [
    """main (float[2] s, float[2] p, float[5,2] x) => (float[2] a, float[2] b, float[5,2] y) {
         a, b, y = Scan (s, p, x) <num_scan_inputs = 1,
           body = step (float[2] s, float[2] p, float[2] v) => (float[2] t, float[2] q, float[2] w) {
             t = Add(s, v)  q = Mul(p, v)  w = Sub(t, q) }>
       }""",
    # Other axes and directions; a state that nobody reads; two inputs of one length.
    """main (float[2] s, float[2,5] x, float[3,2,5] z) => (float[2,5] y, float[3,5,2] w) {
         last, y, w = Scan (s, x, z) <num_scan_inputs = 2, scan_input_axes = [1, -1], scan_input_directions = [1, 0],
             scan_output_axes = [-1, 1], scan_output_directions = [0, 1],
           body = step (float[2] s, float[2] v, float[3,2] u) => (float[2] t, float[2] v2, float[3,2] u2) {
             t = Sub(v, s)  v2 = Add(t, v)  u2 = Mul(u, t) }>
       }""",
    # No state.
    """main (float[4,2] x) => (float[4,2] y) {
         y = Scan (x) <num_scan_inputs = 1, body = step (float[2] v) => (float[2] w) { w = Exp(v) }>
       }""",
])
def test_scans(text, tmp_path):
    check(onnx.parser.parse_model(HEAD + text), tmp_path)


HEAD_8 = '<ir_version: 4, opset_import: ["" : 8]>\n'


@pytest.mark.parametrize("text", [
    # Batches in front of the state, of what is scanned, in two directions, and of what is collected.
    """main (float[3,2] s, float[3,4,2] x, float[3,4,5] z) => (float[3,2] last, float[3,4,2] y, float[3,4,5] w) {
         last, y, w = Scan ("", s, x, z) <num_scan_inputs = 2, directions = [1, 0],
           body = step (float[2] s, float[2] v, float[5] u) => (float[2] t, float[2] v2, float[5] u2) {
             t = Sub(v, s)  v2 = Add(t, v)  u2 = Neg(u) }>
       }""",
    # One batch; no state; a result that nobody reads.
    """main (float[1,4,2] x) => (float[1,4,2] y) {
         y, unused = Scan ("", x) <num_scan_inputs = 1,
           body = step (float[2] v) => (float[2] w, float[2] u) { w = Exp(v)  u = Neg(v) }>
       }""",
])
def test_scans_of_batches(text, tmp_path):
    check(onnx.parser.parse_model(HEAD_8 + text), tmp_path)


@pytest.mark.parametrize("inputs, scanned, reason", [
    ("int64[2] n, float[2,2] s, float[2,3,2] x", "n, s, x", "different lengths"),
    ("float[1,2] s, float[2,3,2] x", ", s, x", "different batches"),
])
def test_scans_of_batches_refused(inputs, scanned, reason, tmp_path):
    refused(onnx.parser.parse_model(HEAD_8 + f"""main ({inputs}) => (float[2,2] t, float[2,3,2] y) {{
        t, y = Scan ({scanned}) <num_scan_inputs = 1, body = step (float[2] a, float[2] b) => (float[2] c, float[2] d) {{
          c = Add(a, b)  d = Neg(c) }}>
      }}"""), reason, tmp_path)


@pytest.mark.parametrize("text, reason", [
    ("""main (float[1] x, bool[1] c) => (y) {
          y = If (c) <then_branch = a () => (t) { t = Neg(x) }, else_branch = b () => (t) { t = Concat <axis = 0> (x, x) }>
        }""", "If whose condition .*run time"),
    ("""main (float[1,2] s, float[1,3,2] x) => (y) {
          y = Scan (s, x) <num_scan_inputs = 1, scan_input_axes = [2, 1], body = b (t, v) => (w) { w = Add(t, v) }>
        }""", "'scan_input_axes' has 2 entries"),
    ("""main (float[2] s, float[300,2] x) => (y) {
          y = Scan (s, x) <num_scan_inputs = 1, body = b (t, v) => (w) { w = Add(t, v) }>
        }""", "300 iterations"),
    ("""main (float[1] x) => (float[1] y) <int64 many = {65}> {
          y = Loop (many, , x) <body = b (int64 i, bool c, float[1] v) => (bool c, float[1] w) { w = Neg(v) }>
        }""", "65 iterations"),
    ("""main (float[1] x) => (float[1] y) <bool go = {1}> {
          y = Loop ( , go, x) <body = b (int64 i, bool c, float[1] v) => (bool c, float[1] w) { w = Neg(v) }>
        }""", "iterations"),
    ("""main (float[1] x) => (float[1] y) <bool go = {1}, float[1] half = {0.5}> {
          y = Loop (, go, x) <body = b (int64 i, bool c, float[1] v) => (bool d, float[1] w) {
            d = Less(v, half)  w = Neg(v) }>
        }""", "of which nothing says the most"),
    ("""main (float[1] x) => (float[1] y, z) <int64 three = {3}, float[1] half = {0.5}> {
          y, z = Loop (three, , x) <body = b (int64 i, bool c, float[1] v) => (bool d, float[1] w, float[1] u) {
            d = Less(v, half)  w = Neg(v)  u = Exp(v) }>
        }""", "an output that collects"),
    ("""main (float[1] x) => (y) <int64 three = {3}, float half = {0.5}> {
          y = Loop (three, , x) <body = b (int64 i, bool c, float[k] v) => (bool d, float[m] w) {
            s = ReduceSum <keepdims = 0> (v)  d = Less(s, half)  w = Concat <axis = 0> (v, v) }>
        }""", "a Loop whose end is computed at run time"),
    ("""main (float[1] x) => (float[0,1] y) <int64 none = {0}> {
          y = Loop (none, ) <body = b (int64 i, bool c) => (bool c, float[1] w) { w = Neg(x) }>
        }""", "no iterations"),
])
def test_control_flow_refused(text, reason, tmp_path):
    refused(onnx.parser.parse_model(HEAD + text), reason, tmp_path)


@pytest.mark.parametrize("text", [
    "main (float[2,12,3,5] x) => (float[2,3,6,10] y) { y = DepthToSpace <blocksize = 2> (x) }",
    "main (float[2,12,3,5] x) => (float[2,3,6,10] y) { y = DepthToSpace <blocksize = 2, mode = \"CRD\"> (x) }",
    "main (float[2,3,6,9] x) => (float[2,27,2,3] y) { y = SpaceToDepth <blocksize = 3> (x) }",
])
def test_blocks(text, tmp_path):
    check(onnx.parser.parse_model(HEAD + text), tmp_path)


@pytest.mark.parametrize("text", [
    "main (float[2,13,3,5] x) => (float[2,3,6,10] y) { y = DepthToSpace <blocksize = 2> (x) }",
    "main (float[2,3,6,8] x) => (float[2,27,2,3] y) { y = SpaceToDepth <blocksize = 3> (x) }",
])
def test_blocks_that_do_not_fit(text, tmp_path):
    refused(onnx.parser.parse_model(HEAD + text), "are no blocks", tmp_path)


def old(opset, inputs, output, *nodes, initializers=()):
    def value(name, shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[:3], **node[3]) for node in nodes], "old",
        [value(name, shape) for name, shape in inputs.items()], [value("y", output)],
        [onnx.numpy_helper.from_array(array, name) for name, array in initializers])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=3)


BIAS = np.arange(3, dtype=np.float32)


@pytest.mark.parametrize("opset", [1, 5, 6])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("op, compute", [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply)])
def test_operand_at_an_axis(op, compute, constant, opset, tmp_path):
    """Broadcasting before opset 7: the second operand begins at an axis of the first."""
    attributes = {"axis": 1, "broadcast": 1, **({"consumed_inputs": [0, 0]} if opset < 6 else {})}
    inputs = {"x": [2, 3, 4]} if constant else {"x": [2, 3, 4], "b": [3]}
    model = old(opset, inputs, [2, 3, 4], (op, ["x", "b"], ["y"], attributes),
                initializers=[("b", BIAS)] if constant else [])
    feed = feed_of(model)
    b = BIAS if constant else feed["b"]
    check(model, tmp_path, {"y": compute(feed["x"], b[:, None])})


def test_old_forms(tmp_path):
    model = old(1, {"x": [2, 3, 4]}, [4, 6],
                ("PRelu", ["x", "b"], ["p"], {"consumed_inputs": [0, 0]}),
                ("Dropout", ["p"], ["d"], {"is_test": 1, "consumed_inputs": [0]}),
                ("Pad", ["d"], ["q"], {"paddings": [0, 0, 0, 0, 0, 0]}),
                ("Reshape", ["q"], ["y"], {"shape": [4, -1]}), initializers=[("b", BIAS)])
    x = feed_of(model)["x"]
    check(model, tmp_path, {"y": np.where(x < 0, x * BIAS[:, None], x).reshape(4, 6)})


def test_old_gemm_and_concat(tmp_path):
    model = old(1, {"x": [2, 3], "w": [3, 3]}, [2, 6],
                ("Gemm", ["x", "w", "b"], ["g"], {"broadcast": 1, "beta": 2.0}),
                ("Cast", ["g"], ["c"], {"to": "FLOAT"}),
                ("Concat", ["c", "x"], ["y"], {}), initializers=[("b", BIAS)])
    feed = feed_of(model)
    check(model, tmp_path, {"y": np.concatenate([feed["x"] @ feed["w"] + 2 * BIAS, feed["x"]], 1)})


def test_old_training_is_refused(tmp_path):
    refused(old(6, {"x": [2, 3]}, [2, 3], ("Dropout", ["x"], ["y"], {})), "training mode", tmp_path)


def test_old_operators_that_are_not_read(tmp_path):
    refused(old(5, {"x": [2, 3]}, [2, 3], ("Gelu", ["x"], ["y"], {})), "opset 20 and later", tmp_path)


def test_the_table_of_operators_follows_onnx(monkeypatch):
    """Each line begins, and ends, with a version of its operator; all of the package's opsets are read."""
    monkeypatch.syspath_prepend(str(hsched.ROOT / "tests" / "setup"))
    import operators
    versions = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            versions.setdefault(schema.name, set()).add(schema.since_version)
    assert operators.newest() == onnx.defs.onnx_opset_version()
    lines = list(operators.entries())
    assert len(lines) > 80
    for line in lines:
        assert line["since"] in versions[line["name"]], line["name"]
        assert "before" not in line or int(line["before"]) in versions[line["name"]], line["name"]
