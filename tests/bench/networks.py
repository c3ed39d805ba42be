"""The networks that are measured: the library's own, trained ones that lie beside it, and one that does nothing."""
import dataclasses
import fnmatch
import json
import pathlib
import subprocess

import numpy as np
import onnx
from onnx import helper

import hsched

ZOO = ["resnet50", "mobilenet_v2", "squeezenet1_1", "densenet121", "densenet201", "googlenet", "vgg16",
       "alexnet"]
NOTHING = "one-relu"  # of one number: what it takes is what a call takes
FOLDERS = [hsched.ROOT / "examples" / "data", hsched.ROOT.parent / "shared" / "models",
           hsched.ROOT / "kit" / "models"]
DEFAULT = [*ZOO, "face-*", "digits-*", NOTHING]


@dataclasses.dataclass
class Network:
    name: str
    path: pathlib.Path
    feed: dict
    flops: float  # of plain sums of products; other ways to compute it need fewer
    bytes: float  # of weights, read once, and of what steps write and the next ones read


def program(*arguments):
    run = subprocess.run([str(hsched.BUILD / "hsched"), *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"hsched {' '.join(map(str, arguments))}: {run.stderr.strip()}")
    return run.stdout


def named(pattern):
    """Names and files (None: there is no file yet) that a pattern, a name or a path stands for."""
    if pattern.endswith(".onnx"):
        return {pathlib.Path(pattern).stem: pathlib.Path(pattern)}
    files = {f.stem: f for folder in reversed(FOLDERS) for f in sorted(folder.glob("*.onnx"))}
    known = {**dict.fromkeys(ZOO), **files, NOTHING: None}
    found = {name: known[name] for name in known if fnmatch.fnmatchcase(name, pattern)}
    if not found and not any(c in pattern for c in "*?["):
        found = {pattern: None}  # one of the zoo that is not among those above
    if not found:
        print(f"{pattern}: no network has such a name, and no file in "
              f"{', '.join(str(f) for f in FOLDERS)}: left out")
    return found


def write_nothing(path):
    value = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 1]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], NOTHING, value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def alike_for_all(source, path):
    """Writes the network as every engine takes it best: dimensions that are left open are 1, and weights are
    no inputs (as old exporters have it, which keeps ONNX Runtime from folding them)."""
    model = onnx.load(source)
    graph = model.graph
    weights = {w.name for w in graph.initializer}
    inputs = [i for i in graph.input if i.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    for value in [*graph.input, *graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 1
    onnx.save(model, path)


def written(name, source, folder):
    """The file that all engines read."""
    path = folder / f"{name}.onnx"
    if name == NOTHING:
        write_nothing(path)
    elif source:
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            alike_for_all(source, path)
    elif not path.exists():
        program("export", name, path)
    return path


def feed_of(path):
    """Random numbers for inputs, from a place in memory that suits everyone."""
    rng = np.random.default_rng(0)
    feed = {}
    for value in onnx.load(path, load_external_data=False).graph.input:
        tensor = value.type.tensor_type
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            raise SystemExit(f"{path}: input {value.name} is not float32")
        shape = [d.dim_value for d in tensor.shape.dim]
        feed[value.name] = hsched.aligned(rng.standard_normal(shape).astype(np.float32))
    return feed


def network(name, source, folder):
    path = written(name, source, folder)
    what = json.loads(program("inspect", path, "--json"))
    elements = sum(int(np.prod(step["output"])) for step in what["steps"])
    return Network(name, path, feed_of(path), 2.0 * what["macs"],
                   what["packed_bytes"] + 2.0 * 4 * elements)


def find(patterns, folder):
    found = {}
    for pattern in patterns:
        found |= {name: f for name, f in named(pattern).items() if name not in found}
    return [network(name, source, folder) for name, source in found.items()]
