"""make wild: networks of torchvision, as PyTorch exports them, beside PyTorch itself and ONNX Runtime.

Every network has random weights, also where PyTorch begins with zeros or ones; its outputs are compared on
one input, in float32 throughout. `agrees`
says that ours are within 1e-4 of PyTorch's (norm of the difference by norm); `refused` that the library
has said why it does not load it, `not exported` that PyTorch has. Anything else is a fault. Needs PyTorch
and torchvision, and says so where they are missing.

    wild.py [--json FILE] [--graphs FOLDER] [REGEX]   --graphs: keeps the graphs, with weights of zero
"""
import argparse
import gzip
import importlib.util
import json
import pathlib
import re
import sys
import tempfile
import time
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "common")]
warnings.simplefilter("ignore")

MISSING = [m for m in ("torch", "torchvision", "numpy") if importlib.util.find_spec(m) is None]
if MISSING:
    print(f"SKIPPED: {', '.join(MISSING)} cannot be imported here\n0 passed, 0 failed, 1 skipped")
    raise SystemExit(0)

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.backends.mha.set_fastpath_enabled(False)  # its operators have no form in ONNX
import torchvision.models as zoo  # noqa: E402
from torchvision.models.detection.backbone_utils import (  # noqa: E402
    mobilenet_backbone, resnet_fpn_backbone)

import hsched  # noqa: E402

OPSET = 18
CLOSE = 1e-4
REFUSALS = ("HSCHED_ERROR_UNSUPPORTED", "HSCHED_ERROR_SHAPE")


class Outputs(torch.nn.Module):
    """Dictionaries of tensors become tuples; layers that only training has are gone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        out = self.model(*inputs)
        return tuple(out.values()) if isinstance(out, dict) else out


def image(size, channels=3):
    return (torch.rand(1, channels, size, size),)


def clip(frames, size):
    return (torch.rand(1, 3, frames, size, size),)


def classifier(name, size=224, **options):
    return lambda: (getattr(zoo, name)(weights=None, **options), image(size))


def segmenter(name, size=224, **options):
    return lambda: (getattr(zoo.segmentation, name)(weights=None, weights_backbone=None, **options),
                    image(size))


def video(name, frames, size, **options):
    return lambda: (getattr(zoo.video, name)(weights=None, **options), clip(frames, size))


def detector_body(name, size):
    """What a detector computes before its boxes are chosen: backbone and head."""
    class Body(torch.nn.Module):
        def __init__(self):
            super().__init__()
            whole = getattr(zoo.detection, name)(weights=None, weights_backbone=None)
            self.backbone, self.head = whole.backbone, whole.head

        def forward(self, x):
            return tuple(self.head(list(self.backbone(x).values())).values())
    return lambda: (Body(), image(size))


def flow(name, height, width):
    return lambda: (getattr(zoo.optical_flow, name)(weights=None),
                    (torch.rand(1, 3, height, width), torch.rand(1, 3, height, width)))


NETWORKS = {
    "alexnet": classifier("alexnet"),
    "convnext_tiny": classifier("convnext_tiny"),
    "densenet121": classifier("densenet121"),
    "efficientnet_b0": classifier("efficientnet_b0"),
    "efficientnet_v2_s": classifier("efficientnet_v2_s"),
    "googlenet": classifier("googlenet", aux_logits=False, init_weights=False),
    "inception_v3": classifier("inception_v3", 299, aux_logits=False, init_weights=False),
    "maxvit_t": classifier("maxvit_t"),
    "mnasnet1_0": classifier("mnasnet1_0"),
    "mobilenet_v2": classifier("mobilenet_v2"),
    "mobilenet_v3_large": classifier("mobilenet_v3_large"),
    "mobilenet_v3_small": classifier("mobilenet_v3_small"),
    "regnet_x_400mf": classifier("regnet_x_400mf"),
    "regnet_y_400mf": classifier("regnet_y_400mf"),
    "resnet18": classifier("resnet18"),
    "resnet50": classifier("resnet50"),
    "resnext50_32x4d": classifier("resnext50_32x4d"),
    "shufflenet_v2_x1_0": classifier("shufflenet_v2_x1_0"),
    "squeezenet1_1": classifier("squeezenet1_1"),
    "swin_t": classifier("swin_t"),
    "swin_v2_t": classifier("swin_v2_t"),
    "vgg11": classifier("vgg11"),
    "vgg16_bn": classifier("vgg16_bn"),
    "vit_b_16": classifier("vit_b_16"),
    "wide_resnet50_2": classifier("wide_resnet50_2"),
    "fcn_resnet50": segmenter("fcn_resnet50"),
    "deeplabv3_resnet50": segmenter("deeplabv3_resnet50"),
    "deeplabv3_mobilenet_v3_large": segmenter("deeplabv3_mobilenet_v3_large"),
    "lraspp_mobilenet_v3_large": segmenter("lraspp_mobilenet_v3_large"),
    "resnet50_fpn": lambda: (resnet_fpn_backbone(backbone_name="resnet50", weights=None), image(256)),
    "mobilenet_v3_fpn": lambda: (mobilenet_backbone(backbone_name="mobilenet_v3_large", weights=None,
                                                    fpn=True), image(256)),
    "retinanet_body": detector_body("retinanet_resnet50_fpn", 256),
    "fcos_body": detector_body("fcos_resnet50_fpn", 256),
    "ssd300_body": detector_body("ssd300_vgg16", 300),
    "ssdlite320_body": detector_body("ssdlite320_mobilenet_v3_large", 320),
    "r3d_18": video("r3d_18", 8, 64),
    "mc3_18": video("mc3_18", 8, 64),
    "r2plus1d_18": video("r2plus1d_18", 8, 64),
    "s3d": video("s3d", 16, 224),
    "mvit_v1_b": video("mvit_v1_b", 16, 224),
    "swin3d_t": video("swin3d_t", 8, 64),
    "raft_small": flow("raft_small", 128, 160),
}


def disturb(model):
    """No parameter stays the same number throughout: with heads of zeros, all outputs would be zero."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if not value.is_floating_point() or value.numel() < 2 or value.min() != value.max():
            continue
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        else:
            value.add_(0.02 * torch.randn_like(value))


def varies(outputs):
    return all(np.isfinite(a).all() and a.std() > 1e-6 * max(abs(a.mean()), 1e-30) for a in outputs)


def export(model, inputs, path):
    """The exporter that writes a file by itself; it needs no package but PyTorch."""
    with torch.no_grad():
        torch.onnx.export(model, inputs, str(path), opset_version=OPSET, dynamo=False,
                          input_names=[f"input{i}" for i in range(len(inputs))])


def keep_graph(model, inputs, path):
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            value.zero_()
    export(model, inputs, path)
    packed = path.with_suffix(".onnx.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def in_onnxruntime(path, feed):
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime as ort
    try:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, feed)
    except Exception as e:  # of ONNX Runtime: it is beside the point, and said
        print(f"    onnxruntime: {str(e)[:200]}")
        return None


def worst(outputs, expected):
    return max(hsched.relative_error(a, b) for a, b in zip(outputs, expected))


def try_network(name, runtime, folder, graphs):
    torch.manual_seed(1)
    model, inputs = NETWORKS[name]()
    model = Outputs(model.eval())
    path = folder / f"{name}.onnx"
    with torch.no_grad():
        disturb(model)
        out = model(*inputs)
        expected = [t.numpy() for t in (out if isinstance(out, (tuple, list)) else [out])]
    if not varies(expected):
        return {"name": name, "status": "FAILED", "why": "these weights give the same everywhere"}
    try:
        export(model, inputs, path)
    except Exception as e:  # of PyTorch's exporter
        return {"name": name, "status": "not exported", "why": f"{type(e).__name__}: {e}"}
    feed = {f"input{i}": t.numpy() for i, t in enumerate(inputs)}
    result = {"name": name}
    try:
        loaded = runtime.load(path, math=hsched.MATH_STRICT)
        found = loaded.infer(feed)
        error = worst([found[o[0]] for o in loaded.outputs], expected)
        result |= {"status": "agrees" if error < CLOSE else "WRONG", "error": error}
    except hsched.HschedError as e:
        text = str(e)
        result |= {"status": "refused" if text.startswith(REFUSALS) else "FAILED", "why": text}
    peer = in_onnxruntime(path, feed)
    if peer is not None:
        result["onnxruntime"] = worst(peer, expected)
    path.unlink()
    if graphs:
        keep_graph(model, inputs, graphs / f"{name}.onnx")
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--graphs", type=pathlib.Path)
    parser.add_argument("regex", nargs="?", default="")
    args = parser.parse_args()
    if args.graphs:
        args.graphs.mkdir(parents=True, exist_ok=True)
    results = []
    for name in [n for n in NETWORKS if re.search(args.regex, n)]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, hsched.Runtime() as runtime:
            result = try_network(name, runtime, pathlib.Path(folder), args.graphs)
        results.append(result)
        error = f"{result['error']:.1e}" if "error" in result else ""
        peer = f"{result['onnxruntime']:.1e}" if "onnxruntime" in result else "-"
        print(f"{name:30s} {result['status']:13s} {error:8s} onnxruntime {peer:8s} "
              f"{time.monotonic() - began:5.1f} s", flush=True)
        if "why" in result:
            print("    " + result["why"][:600].replace("\n", "\n    "), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1))
    passed = sum(r["status"] == "agrees" for r in results)
    skipped = sum(r["status"] in ("refused", "not exported") for r in results)
    print(f"{passed} passed, {len(results) - passed - skipped} failed, {skipped} skipped")
    return 1 if passed + skipped < len(results) else 0


if __name__ == "__main__":
    sys.exit(main())
