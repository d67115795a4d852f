"""The last activation can't give what the loss needs, or what the targets are."""

from famulus.diagnosis.contract import (
    BOUNDED,
    EVERYTHING,
    RAW,
    always,
    extremes,
    forms,
    graph,
    grey_levels,
    learned,
    operations,
    severity,
    words,
)
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import last_activation
from famulus.diagnosis.remedy import Remedy, advise, line

CAUSE = "output-activation"
SUMMARY = "the last activation can't give the answers that loss and targets ask for"
REACH = {
    "Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, None),
    "Hardtanh": (None, None), "Softplus": (0.0, None), "LogSoftmax": (None, 0.0),
    "Threshold": (0.0, None),
}  # fmt: skip
BEYOND = 0.05  # share of the range of the targets that lies out of reach
DISTANCES = ("mse", "l1", "smooth_l1")
OVERLAP = ({"Div", "Mul", "Sum"}, {"Div", "Mul", "Mean"})  # of what Dice and its kin are made
NO_SHARE = 0.1  # below 0 or above 1: no share of anything


def rule(history: History) -> Finding | None:
    last, loss = graph(history).get("output"), operations(history)
    if not last or not loss:
        return None
    name, takes = words(last), set(loss)
    remedy = Remedy(
        f"without {last_activation(history)}: the loss takes what the layer before it gives"
    )
    if last in BOUNDED and "LogSoftmax" in loss:
        text = f"cross_entropy takes logits of any sign, and the model ends in {name}"
    elif last in BOUNDED and last != "Sigmoid" and "BinaryCrossEntropyWithLogits" in loss:
        text = f"binary_cross_entropy_with_logits takes any number, and the model ends in {name}"
    elif "BinaryCrossEntropy" in takes and last in RAW:
        code = "F.binary_cross_entropy_with_logits(outputs, targets)"
        remedy = advise(history.owner, line(code, "on the last linear layer"))
        text = (
            f"binary_cross_entropy takes probabilities of a sigmoid, and the model ends in {name}"
        )
    elif takes >= {"NllLoss", "Log"} and not takes & {"Softmax", "Sigmoid"} and last in RAW:
        code = "F.cross_entropy(outputs, targets)"
        remedy = advise(history.owner, line(code, "on the last linear layer"))
        text = f"the loss is the logarithm of probabilities, and the model ends in {name}"
    elif bad := _shares_of_one(history, last):
        text, code = bad
        remedy = advise(history.owner, line(code))
    elif gap := _overlap_of_numbers(history, last):
        text = gap
        remedy = advise(history.owner, line("torch.sigmoid(outputs)", "before the loss"))
    elif gap := _out_of_reach(history, last):
        text = gap
    else:
        return None
    return Finding(
        CAUSE,
        severity(history),
        text,
        remedy.text,
        step=0,
        consequences=EVERYTHING if grey_levels(history) else (*EVERYTHING, "targets-out-of-range"),
    )


def _shares_of_one(history: History, last: str) -> tuple[str, str] | None:
    """A softmax whose shares can't be what the targets ask for: (why, a line of Python)."""
    # the last batch of an epoch may be smaller: any will do
    columns = {f["output_shape"][1] for f in forms(history) if len(f.get("output_shape") or ()) > 1}
    ones = [f["ones"] for f in forms(history) if f.get("ones")]
    if graph(history).get("shares_over_batch"):
        text = "softmax is taken over axis 0, the samples of a batch: a sample's shares do not sum"
        return f"{text} to 1", "outputs.softmax(dim=1)"
    if last != "Softmax":
        return None
    if columns == {1}:
        return "softmax of a single output is always 1, whatever the input", "nn.Sigmoid()"
    if ones and (min(o[0] for o in ones) != 1 or max(o[1] for o in ones) != 1):
        most = max(o[1] for o in ones)
        text = f"the shares of softmax sum to 1, and rows of the targets hold up to {most} ones"
        return text, "nn.Sigmoid()"
    return None


def _overlap_of_numbers(history: History, last: str) -> str | None:
    """Dice and its kin multiply outputs with masks and divide by their sums: they take shares."""
    takes, seen = set(operations(history)), extremes(history, "outputs")
    masks = {f.get("targets") for f in forms(history)} <= {"binary", "one-hot"}
    if last not in RAW or graph(history).get("link") or seen is None or not forms(history):
        return None
    if not masks or not any(takes >= parts for parts in OVERLAP) or always(history, "loss"):
        return None
    if seen[0] >= -NO_SHARE and seen[1] <= 1 + NO_SHARE:
        return None
    return (
        f"the loss is a quotient of sums of products of outputs and masks, as Dice: it takes shares"
        f" of 0 to 1, and the model ends in {words(last)}: outputs lie from {seen[0]:.3g} to"
        f" {seen[1]:.3g}"
    )


def _out_of_reach(history: History, last: str) -> str | None:
    """Are there targets that no output can meet?"""
    seen = extremes(history, "targets")
    if last not in REACH or seen is None or not _as_they_are(history):
        return None
    low, high = REACH[last]
    allowed = BEYOND * (seen[1] - seen[0])
    if (low is None or seen[0] >= low - allowed) and (high is None or seen[1] <= high + allowed):
        return None
    reach = (
        f"from {low:g}"
        if high is None
        else f"up to {high:g}"
        if low is None
        else f"{low:g} to {high:g}"
    )
    return f"targets lie from {seen[0]:.4g} to {seen[1]:.4g}, and {last.lower()} gives {reach}"


def _as_they_are(history: History) -> bool:
    """Does the loss compare outputs with the targets as they are?"""
    known = forms(history)
    names = {form.get("loss") or form.get("part") for form in known} - {None}
    if names or graph(history).get("link"):
        return bool(names) and names <= set(DISTANCES)
    # of an unknown loss: a picture is compared with a picture, where little is learned
    alike = [f.get("targets") == "real" and f["output_shape"] == f["target_shape"] for f in known]
    return bool(alike) and all(alike) and not learned(history)
