"""A question is answered without what the picture shows: by a seam, or by fringes of colour (K26).

Source: Doersch et al. 2015, arXiv 1505.05192.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, setting

CAUSE = "shortcut"
SUMMARY = "the answer is read from a seam or from colour, not from what the picture shows"
SHARE = 0.5  # of the accuracy above chance that is lost without it
GAINED = 0.1  # accuracy above chance, from which there is something to explain
SHORTCUTS = ("seam", "colour")


def rule(history: History) -> Finding | None:
    chance = history.floor("accuracy", "chance")
    accuracy = history.last("accuracy")
    if chance is None or accuracy is None or accuracy - chance < GAINED:
        return None
    values = history.val[-1]["values"]
    shares = {n: values[f"{n}_share"] for n in SHORTCUTS if f"{n}_share" in values}
    worst = max(shares, key=lambda n: shares[n], default=None)
    if worst is None or shares[worst] < SHARE:
        return None
    removed = [*history.owner.value("data.without", []), worst]
    remedy = advise(
        history.owner,
        setting("data.without", removed, why="in training, too"),
        Step(words="sources that are augmented apart"),
    )
    return Finding(
        CAUSE,
        "warning",
        f"at step {history.val[-1]['step']:,} accuracy is {accuracy:.2f} with pictures as they are,"
        f" {values[f'without_{worst}']:.2f} without {worst}, {chance:.2f} by chance:"
        f" {shares[worst]:.0%} of what was learned is {worst} (limit {SHARE:.0%})",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )
