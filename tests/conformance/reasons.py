"""Why the library refuses a model, in few words: headings of excluded.txt, from its own messages.

A message that is not one of these is no refusal but a fault, and no reason to exclude a case."""
import re

# One line of the list of operators that are not supported: "  Name (domain opset N): why; node 'a'".
COMPLAINT = re.compile(r"^  (?P<name>\w+) \((?P<domain>[\w.]+ )?opset \d+\)(?:: (?P<why>.*?))?; nodes? '",
                       re.MULTILINE)
FOLDED_ONLY = "supported only where it can be computed from constants and shapes"

FORMS = [
    (r": (sequence|optional|sparse_tensor)s are no tensors", r"type \1: not supported"),
    (r"has the element type an unknown type", "types newer than the schema (int2, float4e2m1, ...)"),
    (r"has the element type (\w+), which is not supported", r"type \1: not supported"),
    (r"is (u?int\d+|bool|float64), but this layer computes on float32| is float64 and b ",
     "type other than float32: layers compute on float32 only"),
    (r"the model uses opset (\d+); this version reads opsets", None),
    (r"the model does not say which opset of ai\.onnx it uses",
     "other domains only (training, ai.onnx.ml): not read"),
    (r": nothing is left of x|so that the tensor would be empty| is empty, \[",
     "empty tensors: not supported"),
]


def of_operators(complaints):
    """A case may need several operators: it stands under the first that is missing altogether."""
    def key(complaint):
        why = complaint["why"]
        return 0 if not why else 1 if why.startswith(FOLDED_ONLY) else 2

    first = min(complaints, key=key)
    name = (first["domain"] or "").strip().replace("ai.onnx.", "") + " " + first["name"]
    if not first["why"]:
        return f"operator {name.strip()}: not implemented"
    if first["why"].startswith(FOLDED_ONLY):
        return f"operator {name.strip()}: folded where its inputs are constant, not run"
    return f"operator {name.strip()}: not in this form"


def of_message(message):
    """The reason, or None if the message is no refusal of a model."""
    complaints = [m.groupdict() for m in COMPLAINT.finditer(message)]
    if complaints and "operators that are not supported" in message:
        return of_operators(complaints)
    for pattern, reason in FORMS:
        match = re.search(pattern, message)
        if match and reason is None:
            return "opset newer than those that are known"
        if match:
            return match.expand(reason)
    return None
