"""Batch statistics of next to nothing: a norm over two values leaves only which is the larger.

Of a picture's many places a channel has values enough, yet two samples make its statistics: that
is common with large volumes, and named only where nothing is learned.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.loop import ENOUGH, of_choice, samples
from famulus.diagnosis.remedy import advise, norm, setting

CAUSE = "batch-norm-tiny-batch"
SUMMARY = "batch norm takes its statistics from batches of a few values"
SAMPLES = 2  # that show it: one may be an accident
VALUES = 4  # of a channel, up to which a norm changes each sample by what the others are
PAIR = 2  # samples
USUAL = 32


def rule(history: History) -> Finding | None:
    seen = [(step, loop["norm"]) for step, loop in samples(history) if loop.get("norm")]
    if len(seen) < SAMPLES:
        return None
    step, module = max(seen, key=lambda pair: pair[1]["values"])  # the last batch may be small
    few = module["values"] <= VALUES
    severity = of_choice(history)
    if severity == "info":
        if history.val or not few:
            return None
        severity = "warning"  # what is left of an answer or two says little of a net
    if not few and (module["samples"] > PAIR or of_history(history).gained(ENOUGH) is not False):
        return None
    remedy = advise(
        history.owner,
        setting("training.batch", USUAL, code=f"DataLoader(..., batch_size={USUAL})"),
        norm("group", why="needs no batch"),
    )
    name = history.owner.script.layer(str(module["name"]), str(module["type"]))
    return Finding(
        CAUSE,
        severity if few else "warning",
        f"{name} takes mean and variance of each channel from {module['values']:,} values of"
        f" {module['samples']} samples, at most, in {len(seen)} sampled steps (limit {VALUES})",
        remedy.text,
        changes=remedy.changes,
        step=step,
    )
