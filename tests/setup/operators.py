"""docs/operators.md from the tables in src/onnx/ops.c and ops_microsoft.c: written (make docs-operators), or compared (--check)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operators.md"

HEAD = """# ONNX operators

What each operator of ONNX's standard domain becomes when a model is loaded. This page is written by `make docs-operators`
from the table in `src/onnx/ops.c`; how loading works, its limits, and what is written when a graph is saved is in
[src/onnx/README.md](../src/onnx/README.md).

- **opsets**: those whose form of the operator is read. An operator may have changed in between: all its forms of these
  opsets are. Attributes that became inputs later are read as either; such inputs must be known while loading.
- **becomes**: the layers of the graph ([hsched.h](../include/hsched/hsched.h) says what each takes); *folded* where all inputs are
  known while loading: the result is a constant then.
- **types**: of tensors that are only known at run time. float32 stands for float16 and bfloat16, too: they are computed in
  float32; float64 is computed in float64, never in less. Any: float32, float16, bfloat16, float64, int64, int32, int8, uint8
  and bool. Folding takes all of these.
- **devices**: every layer runs on the reference backend and the CPU. gpu: on a GPU, too, of any of the
  types but float64, which it only moves, casts and sums up along an axis; what a GPU does not do is done on the CPU,
  in the middle of a network as well.

Everything else is refused with an error that lists all such nodes of the model, with reasons.
"""


MICROSOFT = """
## Of domain com.microsoft

What ONNX Runtime's tool for quantising models writes, from the table in `src/onnx/ops_microsoft.c`; all other domains
are refused. Levels are what ONNX calls quantised numbers.
"""


def entries(file="ops.c"):
    """The fields of each line of the table: the first six by place, the others by name."""
    text = re.sub(r" *\\\n *", " ", (ROOT / "src" / "onnx" / file).read_text())
    table = re.search(r"hsi_onnx_op ops\[\] = \{\n(.*?)\n\};", text, re.DOTALL)[1]
    for macro, meaning in reversed(re.findall(r'^#define (\w+) +(.*".*)$', text, re.MULTILINE)):
        table = re.sub(rf"\b{macro}\b", lambda _: meaning, table)
    for entry in re.findall(r"^    \{ (.*?) \},$", table, re.DOTALL | re.MULTILINE):
        strings = []

        def keep(match):
            strings.append("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[0])))
            return f"@{len(strings) - 1}"

        def value(field):
            return re.sub(r"@(\d+)", lambda m: strings[int(m[1])], field).strip()

        plain = re.sub(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', keep, entry)
        fields = [field.strip() for field in plain.split(",")]
        named = {key: value(text) for key, text in
                 (re.fullmatch(r"\.(\w+) =\s+(.*)", f, re.DOTALL).groups() for f in fields[6:] if f[0] == ".")}
        yield {"name": value(fields[0]), "since": int(fields[1]), "build": fields[2] != "NULL",
               "fold": fields[3] != "NULL", "always": fields[5] == "1", **named}


def newest():
    return int(re.search(r"#define LAST_OPSET\s+(\d+)", (ROOT / "src/onnx/model.c").read_text())[1])


def row(entry, last):
    last = int(entry["before"]) - 1 if "before" in entry else last
    becomes = [entry.get("layers", "")] if entry["build"] else []
    if entry["fold"]:
        becomes.append("folded, always" if entry["always"] else "folded")
    devices = "" if not entry["build"] or entry.get("layers") == "nothing" else \
        "ref, cpu" if entry.get("cpu_only") == "1" else "ref, cpu, gpu"
    types = entry.get("types", "float32") if entry["build"] else ""
    opsets = f"{entry['since']} to {last}" if last > entry["since"] else last
    return (f"| {entry['name']} | {opsets} | {'; '.join(filter(None, becomes))} | {types} | "
            f"{devices} | {entry.get('note', '')} |")


def page():
    last = newest()
    rows = [row(entry, last) for entry in entries()]
    table = ["| operator | opsets | becomes | types | devices | notes |", "|---|---|---|---|---|---|", *rows]
    others = ["| operator | versions | becomes | types | devices | notes |", "|---|---|---|---|---|---|",
              *(row(entry, 1) for entry in entries("ops_microsoft.c"))]
    return (HEAD + "\n" + "\n".join(re.sub(" +", " ", line) for line in table) + "\n" + MICROSOFT + "\n" +
            "\n".join(re.sub(" +", " ", line) for line in others) + "\n")


def main():
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        sys.exit("docs/operators.md is not what src/onnx/ops.c says: run make docs-operators")


if __name__ == "__main__":
    main()
