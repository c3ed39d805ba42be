"""The networks that are compared on the GPU, and what a number format alone makes of their scores."""
import numpy as np

ZOO = ["alexnet", "vgg16", "resnet18", "resnet50", "resnet152", "densenet121", "densenet201",
       "googlenet", "mobilenet_v1", "mobilenet_v2", "squeezenet1_1", "mlp", "text_bilstm", "text_gru"]

# Relative to the scores: format_error.py measured it. tf32 ("default") rounds as fp16 does.
FORMAT_ERROR = {
    "alexnet": {"default": 0.0045, "fp16": 0.0045, "bf16": 0.036},
    "vgg16": {"default": 0.021, "fp16": 0.021, "bf16": 0.16},
    "resnet18": {"default": 0.0017, "fp16": 0.0017, "bf16": 0.013},
    "resnet50": {"default": 0.0028, "fp16": 0.0028, "bf16": 0.022},
    "resnet152": {"default": 0.0035, "fp16": 0.0035, "bf16": 0.029},
    "densenet121": {"default": 0.0016, "fp16": 0.0016, "bf16": 0.012},
    "densenet201": {"default": 0.002, "fp16": 0.002, "bf16": 0.016},
    "googlenet": {"default": 0.009, "fp16": 0.009, "bf16": 0.064},
    "mobilenet_v1": {"default": 0.0018, "fp16": 0.0018, "bf16": 0.013},
    "mobilenet_v2": {"default": 0.0015, "fp16": 0.0015, "bf16": 0.011},
    "squeezenet1_1": {"default": 0.015, "fp16": 0.015, "bf16": 0.09},
    "mlp": {"default": 0.00057, "fp16": 0.00057, "bf16": 0.0038},
    "text_bilstm": {"default": 0.00044, "fp16": 0.00044, "bf16": 0.0034},
    "text_gru": {"default": 0.00035, "fp16": 0.00035, "bf16": 0.0046},
}


def logits(probabilities):
    """The scores that a softmax was taken of, but for a constant: their relative error does not depend on how
    large the scores are, that of the probabilities does. fp16 knows no probabilities below 6e-8, and a few
    bits of those below 1e-5, which therefore count as 1e-5."""
    scores = np.log(np.maximum(probabilities.astype(np.float64), 1e-5))
    return scores - scores.mean(axis=-1, keepdims=True)
