"""Products of features that all point the same way (K14).

Pooled activations after a ReLU are not negative: the cosine of different pictures lies near 1, so
their products are large and nearly alike, and nothing after the product can undo that.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, setting

CAUSE = "features-not-centred"
SUMMARY = "a head multiplies features that are not centred: all products are alike"
ALIKE = 0.5  # mean cosine of the features of different pictures
NEAR = 0.1  # of the constant's score
HEADS = ("dot",)  # the others normalise over the batch before they multiply


def rule(history: History) -> Finding | None:
    head = history.owner.value("model.head.kind")
    if head not in HEADS or not history.val:
        return None
    last = history.val[-1]
    cosine, loss = (last["values"].get(name) for name in ("feature_cosine", "loss"))
    floor = history.floor("loss", "best constant")
    if cosine is None or loss is None or floor is None:
        return None
    if cosine < ALIKE or loss < floor * (1 - NEAR):
        return None
    remedy = advise(
        history.owner,
        setting("model.head.kind", "pair", why="it subtracts, and learns what to compare"),
        setting(
            "model.head.kind", "mlp", words="subtract the mean of the features before the product"
        ),
    )
    return Finding(
        CAUSE,
        "warning",
        f"at step {last['step']:,} features of different pictures have a mean cosine of"
        f" {cosine:.3g} (0 when centred, limit {ALIKE}), and head {head} multiplies them:"
        f" val/loss {loss:.4g}, where the best constant predictor scores {floor:.4g}",
        remedy.text,
        changes=remedy.changes,
        step=last["step"],
        consequences=("predicts-the-mean", "input-unused"),
    )
