"""The net ends in the activation that its loss applies again (K2): gradients shrink to little."""

from famulus.diagnosis.contract import EVERYTHING, graph, operations, severity
from famulus.diagnosis.history import Finding, History

CAUSE = "activation-twice"
SUMMARY = "an activation is applied twice: by the net and again by the loss"


def rule(history: History) -> Finding | None:
    last, loss = graph(history).get("output"), operations(history)
    if last == "Softmax" and "LogSoftmax" in loss:
        text = "the net ends in softmax, and cross_entropy applies softmax again: outputs of 0..1"
        text += " leave every class at least 1/e of the largest one's share"
        remedy = "let the net end in its last linear layer; softmax only to show probabilities"
    elif last == "Sigmoid" and "BinaryCrossEntropyWithLogits" in loss:
        text = "the net ends in sigmoid, and binary_cross_entropy_with_logits applies it again:"
        text += " answers stay within .5 and .73"
        remedy = "let the net end in its last linear layer, or use binary_cross_entropy"
    else:
        return None
    return Finding(CAUSE, severity(history), text, remedy, step=0, consequences=EVERYTHING)
