"""The loss is not made for these outputs and targets."""

from collections.abc import Sequence
from statistics import median

from famulus.diagnosis.contract import (
    EVERYTHING,
    RAW,
    always,
    extremes,
    forms,
    graph,
    learned,
    left,
    operations,
    severity,
    words,
)
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, line

CAUSE = "loss-does-not-fit-output"
SUMMARY = "the loss is not made for what the model puts out or for these targets"
YES_NO = ("BinaryCrossEntropy", "BinaryCrossEntropyWithLogits")
SAMPLES = 2
DISTANCES = ("mse", "l1", "smooth_l1")
NORMALISED = ("LogSoftmax", "Log")
NOT_LOGARITHMS = ("Softmax", *(kind for kind in RAW if kind != "LogSoftmax"))
ENTROPY = line("F.cross_entropy(outputs, targets)", "of logits, one output for each class")
LOGITS = line("F.binary_cross_entropy_with_logits(outputs, targets)", "on the last linear layer")
Verdict = tuple[str, tuple[Step, ...]]


def rule(history: History) -> Finding | None:
    found = _by_construction(history) or _one_partner(history)
    if found is not None:
        grade = severity(history)
    elif (found := _distance_of_classes(history)) is not None:
        grade = "warning"
    else:
        return _bottom(history)
    text, steps = found
    remedy = advise(history.owner, *steps)
    return Finding(CAUSE, grade, text, remedy.text, step=0, consequences=EVERYTHING)


def _by_construction(history: History) -> Verdict | None:
    loss, last = operations(history), graph(history).get("output")
    targets = extremes(history, "targets")
    if not loss:
        return None
    nll = any("NllLoss" in kind for kind in loss)
    if nll and not set(NORMALISED) & set(loss) and last in NOT_LOGARITHMS:
        return (
            f"nll_loss takes logarithms of probabilities, and the model ends in {words(last)}: the"
            " loss has no least value",
            (ENTROPY, Step(words="log_softmax as the last layer")),
        )
    # one-sided labels above 1 are a known way to train a critic
    shares = set(YES_NO) & set(loss) and not history.opposed
    if shares and targets and (targets[0] < -1e-6 or targets[1] > 1 + 1e-6):
        return (
            f"binary cross-entropy takes targets of 0 to 1; these lie from {targets[0]:.4g} to"
            f" {targets[1]:.4g}, so that the loss has no least value",
            (ENTROPY, line("F.mse_loss(outputs, targets)", "of numbers")),
        )
    shape: Sequence[int] = always(history, "output_shape") or ()
    if "LogSoftmax" in loss and len(shape) > 1 and shape[1] == 1:
        return (
            "softmax over a single output is always 1: the loss is 0 whatever the model answers",
            (LOGITS, Step(words="an output for each class")),
        )
    most = max((form["ones"][1] for form in forms(history) if form.get("ones")), default=1)
    if "LogSoftmax" in loss and most > 1 and always(history, "targets") == "binary":
        return (
            "cross_entropy takes one class a sample, or shares that sum to 1; rows of these targets"
            f" hold up to {most} ones",
            (line("F.binary_cross_entropy_with_logits(outputs, targets)", "a yes or no each"),),
        )
    return None


def _bottom(history: History) -> Finding | None:
    """No fault: of grey targets binary cross-entropy ends at their entropy, not at 0."""
    known = [form["entropy"] for form in forms(history) if form.get("entropy")]
    if len(known) < SAMPLES:
        return None
    return Finding(
        CAUSE,
        "info",
        f"targets lie between 0 and 1: binary cross-entropy of a perfect model is"
        f" {median(known):.3g} a number, their entropy, and not 0",
        "compare the loss with that, or judge by F.mse_loss(outputs, targets) beside it",
        step=0,
    )


def _one_partner(history: History) -> Verdict | None:
    """Similarities of each sample with each, of which the same one is always the right one."""
    known, targets = forms(history), extremes(history, "targets")
    shapes = [form.get("output_shape") or [] for form in known]
    square = all(len(s) == 2 and s[0] == s[1] > 1 for s in shapes)
    entropy = set(graph(history).get("loss") or ()) >= {"NllLoss", "LogSoftmax"}
    if len(known) < SAMPLES or not square or not entropy or not targets or targets[0] < targets[1]:
        return None
    size, at = shapes[-1][0], int(targets[0])
    return (
        f"cross_entropy of {size} x {size} similarities is told in every row that column {at} is"
        f" the right one ({len(known)} sampled batches)",
        (line("labels = torch.arange(len(logits))", "each row's partner is in its own column"),),
    )


def _distance_of_classes(history: History) -> Verdict | None:
    """A squared or absolute distance where the targets are classes, and little was learned."""
    loss, targets = always(history, "loss"), always(history, "targets")
    if loss is None or loss.removesuffix("_one_hot") not in DISTANCES or learned(history):
        return None
    remain = left(history)
    if remain is None:
        return None
    told = f"{remain:.0%} of the best constant predictor's error is left in the last batches"
    if targets == "classes" and loss in DISTANCES:
        return (
            f"{loss} takes class ids for amounts (class 9 would be three times class 3); {told}",
            (ENTROPY,),
        )
    if targets != "real":
        several = targets == "one-hot" or loss not in DISTANCES
        return (
            f"the loss is {loss.removesuffix('_one_hot')} of classes: where the last activation is"
            f" flat, wrong answers have no gradient; {told}",
            (ENTROPY if several else LOGITS,),
        )
    return None
