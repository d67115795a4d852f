"""The net ends in the activation that its loss applies again (K2): gradients shrink to little."""

from famulus.diagnosis.contract import EVERYTHING, graph, operations, severity
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import last_activation
from famulus.diagnosis.remedy import Remedy, advise, line

CAUSE = "activation-twice"
SUMMARY = "an activation is applied twice: by the net and again by the loss"
WORDS = {
    "Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid", "LogSigmoid": "sigmoid",
    "BinaryCrossEntropyWithLogits": "sigmoid (in binary_cross_entropy_with_logits)",
}  # fmt: skip
SHARES = ("Sigmoid", "Softmax")


def _again(outer: str, inner: str) -> bool:
    return outer in WORDS and inner in SHARES


def rule(history: History) -> Finding | None:
    last, loss = graph(history).get("output"), operations(history)
    pairs = [pair for pair in graph(history).get("twice") or () if loss and _again(*pair)]
    if last == "Softmax" and "LogSoftmax" in loss:
        text = "the model ends in softmax, and cross_entropy applies softmax again: from outputs of"
        text += " 0 to 1 every class keeps at least 1/e of the largest one's probability"
        remedy = Remedy(
            f"without {last_activation(history)}: cross_entropy applies it; torch.softmax only to"
            " show probabilities"
        )
    elif last == "Sigmoid" and "BinaryCrossEntropyWithLogits" in loss:
        text = "the model ends in sigmoid, and binary_cross_entropy_with_logits applies it again:"
        text += " probabilities stay within 0.5 and 0.73"
        without = f"without {last_activation(history)}: binary_cross_entropy_with_logits applies it"
        other = line("F.binary_cross_entropy(outputs, targets)", "takes what a sigmoid gives")
        remedy = Remedy(f"{without}; or {advise(history.owner, other).text}")
    elif pairs:
        outer, inner = (WORDS[kind] for kind in pairs[0])
        whose = f"the model ends in {inner}" if pairs[0][1] == last else f"the loss applies {inner}"
        text = f"{whose}, and the loss applies {outer} to what that gives"
        remedy = Remedy(f"{outer} alone, of what comes before the {inner}")
    else:
        return None
    return Finding(CAUSE, severity(history), text, remedy.text, step=0, consequences=EVERYTHING)
