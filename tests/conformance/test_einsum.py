"""Einsum against numpy, over equations of all kinds and random ones."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hsched

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int32): TensorProto.INT32}


@pytest.fixture(scope="module")
def runtime():
    with hsched.Runtime(cpu_workers=1) as rt:
        yield rt


def run(runtime, tmp_path, equation, arrays, shapes=None):
    names = [f"x{k}" for k in range(len(arrays))]
    inputs = [helper.make_tensor_value_info(n, TYPES[a.dtype], shape) for n, a, shape in
              zip(names, arrays, shapes or [a.shape for a in arrays])]
    output = helper.make_tensor_value_info("y", TYPES[arrays[0].dtype], None)
    graph = helper.make_graph([helper.make_node("Einsum", names, ["y"], equation=equation)], "einsum",
                              inputs, [output])
    path = tmp_path / "einsum.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              path)
    sizes = {d: a.shape[k] for a, shape in zip(arrays, shapes or [])
             for k, d in enumerate(shape) if isinstance(d, str)}
    (ours,) = runtime.load(path, symbols=sizes).infer(dict(zip(names, arrays))).values()
    return ours


def check(runtime, tmp_path, equation, arrays, shapes=None):
    expected = np.einsum(equation, *arrays)
    ours = run(runtime, tmp_path, equation, arrays, shapes)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def operands(rng, equation, sizes, dtype=np.float32):
    terms = equation.split("->")[0].replace(" ", "").split(",")
    shapes = [[sizes[letter] for letter in term.replace("...", "*")] for term in terms]
    shapes = [[n for s in shape for n in (s if isinstance(s, tuple) else (s,))] for shape in shapes]
    return [(rng.standard_normal(s) * 4).astype(dtype) for s in shapes]


SIZES = {letter: n for letter, n in zip("abcdhijkmnqwAB", [2, 3, 4, 5, 3, 4, 5, 2, 6, 3, 4, 2, 3, 2])}


@pytest.mark.parametrize("equation", [
    "ij->ji", "ij->", "ij", "ji", "ii->i", "ii", "iij->ij", "iji->j", "iiik->k", "i,i", "i,i->i", "i,j->ij",
    "i,j->ji", "ij,jk", "ij,jk->ki", "bij,bjk->bik", "bij , bjk -> bik", "bij,bkj->bik", "bhid,bhjd->bhij",
    "bhij,bjhd->bihd", "bqhd,bkhd->bhqk", "bhwc,hkc->bhwk", "bhwc,wkc->bhwk", "ijk,ilm->jklm".replace(
        "l", "n"), "abcd,cd->ab", "abcd,dc->ba", "abc,cde->abde".replace("e", "h"), "ab,cd->abcd", "ab,cd->dacb",
    "ij,jk,kn->in", "ab,bc,cd,da->", "i,ij,j->", "i,ij,j", "ab,ab->ba", "Ab,bA->A", "BA,Ab", "ij,kj->",
    "ij,ik->", "abcd,hij,abcdhi->j", "a,b,c->cba", "abc,ad->bcd", "ai,aj,ak->ijk", "iij,jk->ik", "ij,ii->j"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_equations(equation, dtype, runtime, tmp_path):
    check(runtime, tmp_path, equation, operands(np.random.default_rng(1), equation, SIZES, dtype))


@pytest.mark.parametrize("equation,shapes", [
    ("...ij,...jk->...ik", [(2, 3, 4, 5), (2, 3, 5, 6)]), ("...ij,...jk->...ik", [(3, 4, 5), (2, 1, 5, 6)]),
    ("...ij,jk->...ik", [(2, 3, 4, 5), (5, 6)]), ("...ij,...jk", [(2, 3, 4, 5), (1, 5, 6)]),
    ("i...->...i", [(2, 3, 4)]), ("...->...", [(2, 3)]), ("...ii->...i", [(2, 3, 3)]),
    ("i...i->...", [(3, 2, 4, 3)]), ("...a,...b->...ab", [(2, 3), (4, 1, 5)]), ("...,...", [(2, 3), (3,)]),
    ("a...b,b...->a...", [(2, 3, 4), (4, 3)]), ("ij,ij->", [(3, 1), (3, 4)]), ("ij,ij->i", [(1, 4), (3, 4)]),
    ("ij,jk->ik", [(3, 1), (4, 5)]), ("bij,bjk->bik", [(1, 3, 4), (5, 4, 2)]), ("...i,...i", [(3, 2), (2,)]),
    ("...,a->a...", [(), (3,)]), (",->", [(), ()]), ("->", [()])])
def test_ellipses_and_ones(equation, shapes, runtime, tmp_path):
    rng = np.random.default_rng(2)
    check(runtime, tmp_path, equation, [rng.standard_normal(s).astype(np.float32) for s in shapes])


@pytest.mark.parametrize("seed", range(150))
def test_random_equations(seed, runtime, tmp_path):
    rng = np.random.default_rng(seed)
    letters = list("abcdefg")[:rng.integers(1, 8)]
    sizes = {letter: int(rng.integers(1, 5)) for letter in letters}
    terms = ["".join(rng.choice(letters, rng.integers(0, 5))) for _ in range(rng.integers(1, 4))]
    known = sorted(set("".join(terms)))
    result = "".join(rng.permutation(known)[:rng.integers(0, len(known) + 1)]) if known else ""
    equation = ",".join(terms) + ("->" + result if rng.random() < 0.8 or not known else "")
    check(runtime, tmp_path, equation, operands(rng, equation, sizes))


@pytest.mark.parametrize("equation,shapes", [
    ("bhid,bhjd->bhij", [("B", "H", "I", 4), ("B", "H", "J", 4)]),
    ("bihd,bjhd->bhij", [("B", "I", 2, 4), ("B", "J", 2, 4)]),
    ("bic,chd->bihd", [("B", "I", 4), (4, 2, 3)]), ("bihd,hdc->bic", [("B", "I", 2, 3), (2, 3, 5)]),
    ("nchw,nhwd->ncd", [("N", 3, "Y", "X"), ("N", "Y", "X", 2)]), ("ii->i", [("N", "N")])])
def test_symbols(equation, shapes, runtime, tmp_path):
    values = {"B": 2, "H": 3, "I": 5, "J": 7, "N": 2, "Y": 3, "X": 4}
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal([values.get(d, d) for d in shape]).astype(np.float32)
              for shape in shapes]
    check(runtime, tmp_path, equation, arrays, shapes)


@pytest.mark.parametrize("equation,shapes", [
    ("ij->k", [(2, 3)]), ("ij->ii", [(2, 3)]), ("ij", [(2, 3, 4)]), ("ij,jk", [(2, 3)]), ("i.j", [(2, 3)]),
    ("...i->i", [(2, 3)]), ("", [(2,)]), ("ii", [(2, 3)]), ("i->i)", [(2,)]), ("......", [(2,)]),
    ("ij,jk", [(2, 3), (4, 5)]), ("abcde,fghij->abcdefghij", [(2,) * 5] * 2),
    ("abcdei,fghij->abcdefghj", [(1,) * 6, (1,) * 5]), ("abcde,fghij,abcdefgh,ij->", [(1,) * 5, (1,) * 5, (1,) * 8, (1,) * 2])])
def test_what_cannot_be_done(equation, shapes, runtime, tmp_path):
    with pytest.raises(hsched.HschedError, match="Einsum"):
        run(runtime, tmp_path, equation, [np.zeros(s, np.float32) for s in shapes])
