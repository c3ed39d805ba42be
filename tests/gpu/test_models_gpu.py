"""Whole networks on the GPU give what the CPU gives, within the tolerance of each number format."""
import json

import numpy as np
import pytest

import gpu_machine
import hsched
from gpu_networks import FORMAT_ERROR, ZOO, logits

if gpu_machine.missing():
    pytest.skip(gpu_machine.missing(), allow_module_level=True)

# ||gpu - cpu|| / ||cpu||, of a step
TOLERANCE = {"strict": 1e-5, "default": 2e-3, "fp16": 1e-2, "bf16": 8e-2}
GPU_ONLY, DETERMINISTIC = 3, 1 << 4  # hsched_policy; a bit of hsched_model_config.flags
# What is compared with: by default the CPU, too, computes in ways that err more.
ON_CPU = ["--policy", "cpu_only", "--math", "strict"]
DATA = hsched.ROOT / "examples" / "data"


def run(program, folder, models, *options):
    """Runs models at once and gives the --json of it; outputs are in the folder."""
    folder.mkdir()
    # Warm, so that what is compared is what a captured graph computes.
    result = program("run", *models, "--output", folder, "--iterations", 3, "--warmup", 5, "--json",
                     *options, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_all_on_gpu(report):
    gpus = {i for i, d in enumerate(report["devices"]) if d["name"].startswith("gpu")}
    assert gpus, report["devices"]
    for model in report["models"]:
        elsewhere = [w for w in model["where"] if w["device"] not in gpus and w["steps"]]
        assert not elsewhere, (model["name"], elsewhere)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def zoo_on_cpu(program, folder):
    run(program, folder / "cpu", ZOO, *ON_CPU)
    return folder / "cpu"


@pytest.fixture(scope="module", params=TOLERANCE)
def zoo_on_gpu(request, program, folder):
    report = run(program, folder / request.param, ZOO, "--policy", "gpu_only", "--math", request.param)
    assert_all_on_gpu(report)
    return request.param, folder / request.param


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name, zoo_on_cpu, zoo_on_gpu):
    math, folder = zoo_on_gpu
    made, expected = (np.load(f / name / "output.npy") for f in (folder, zoo_on_cpu))
    assert np.isfinite(made).all() and abs(made.sum() - 1) < 1e-2
    error = hsched.relative_error(logits(made), logits(expected))
    # The networks' random weights amplify what their operands lose by rounding, and in float32 the order of
    # sums of up to 25,088 products.
    most = TOLERANCE[math] + 1.5 * FORMAT_ERROR[name].get(math, 2e-5)
    assert error <= most, f"{name}, {math}: {error:.2e}, more than {most:.2e}"


@pytest.mark.parametrize("math", TOLERANCE)
@pytest.mark.parametrize("name", ["face-rfb-320", "face-slim-320"])
@pytest.mark.parametrize("faces", [4, 5, 9])
def test_faces(name, faces, math, program, shared_models, tmp_path):
    photo = shared_models / f"photo-{faces}-faces.jpg"
    image = ["--input", photo, "--mean", 127, "--scale", 1 / 128]
    model = [shared_models / f"{name}.onnx"]
    run(program, tmp_path / "cpu", model, *ON_CPU, *image)
    assert_all_on_gpu(run(program, tmp_path / "gpu", model, "--policy", "gpu_only", "--math", math, *image))
    for output in "scores", "boxes":
        made, expected = (np.load(tmp_path / d / f"{output}.npy") for d in ("gpu", "cpu"))
        error = hsched.relative_error(made, expected)
        assert error <= TOLERANCE[math], f"{output}, {math}: {error:.2e}"


@pytest.mark.parametrize("math", TOLERANCE)
@pytest.mark.parametrize("kind, least", [("cnn", 0.97), ("mlp", 0.94)])
def test_digits(kind, least, math, program, tmp_path):
    path, images = tmp_path / "digits.npy", np.load(DATA / "digits-test-images.npy")
    np.save(path, images[:, None].astype(np.float32) / 16)
    report = run(program, tmp_path / "gpu", [DATA / f"digits-{kind}.onnx"], "--symbol", "batch=360", "--input",
                 path, "--policy", "gpu_only", "--math", math)
    assert_all_on_gpu(report)
    made = np.load(tmp_path / "gpu" / "probabilities.npy")
    error = hsched.relative_error(made, np.load(DATA / f"digits-{kind}-expected.npy"))
    assert error <= TOLERANCE[math], f"{math}: {error:.2e}"
    labels = np.load(DATA / "digits-test-labels.npy")
    assert (made.argmax(axis=1) == labels).mean() >= least


@pytest.mark.parametrize("math", TOLERANCE)
def test_quantised_digits(math, program, tmp_path):
    pytest.importorskip("onnx", reason="onnx cannot be imported")
    from quantised import quantise
    path, model = tmp_path / "digits.npy", tmp_path / "digits.onnx"
    images = np.load(DATA / "digits-test-images.npy")[:, None].astype(np.float32) / 16
    np.save(path, images)
    quantise(DATA / "digits-cnn.onnx", model, {"image": images[:40]})
    feed = ["--symbol", "batch=360", "--input", path]
    run(program, tmp_path / "cpu", [model], *ON_CPU, *feed)
    assert_all_on_gpu(run(program, tmp_path / "gpu", [model], "--policy", "gpu_only", "--math", math, *feed))
    made, expected = (np.load(tmp_path / d / "probabilities.npy") for d in ("gpu", "cpu"))
    # A number next to the middle of two levels may become the other one: strictly few do, else so many that it
    # may do as much as the levels themselves.
    levels = hsched.relative_error(expected, np.load(DATA / "digits-cnn-expected.npy"))
    error = hsched.relative_error(made, expected)
    most = TOLERANCE[math] + (1e-3 if math == "strict" else 2 * levels)
    assert error <= most, f"{math}: {error:.2e}, more than {most:.2e}"
    assert (made.argmax(axis=1) == np.load(DATA / "digits-test-labels.npy")).mean() >= 0.97


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_deterministic_runs_are_bit_equal(name, program, tmp_path):
    path = tmp_path / "model.onnx"
    program("export", name, path)
    feed = {"input": np.random.default_rng(6).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    made = []
    for _ in range(2):
        with hsched.Runtime(policy=GPU_ONLY) as rt:
            model = rt.load(path, policy=GPU_ONLY, flags=DETERMINISTIC)
            made += [model.infer(feed)["output"] for _ in range(5)]
    assert all((one == made[0]).all() for one in made)
