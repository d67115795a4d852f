"""Batches that come sorted by class: each teaches one answer, and the next ones another.

Held against the run's own classes: how many a shuffled batch of this size would hold. Batches of
one class each in any order, as a sampler may make them, are not sorted: neighbours differ.
"""

from collections import Counter
from collections.abc import Mapping
from statistics import fmean, median

from famulus.diagnosis.contract import forms
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import of_choice
from famulus.diagnosis.remedy import advise, line

CAUSE = "data-not-shuffled"
SUMMARY = "batches come sorted by class: the model learns one after the other and forgets the rest"
SAMPLES = 4
BATCH = 8  # samples, from which on a shuffled one holds several classes
SHARE = 0.6  # of the classes that a shuffled batch would hold
FEW = 2  # classes in a batch


def rule(history: History) -> Finding | None:
    counts = [form["counts"] for form in forms(history) if form.get("counts")]
    counts = [batch for batch in counts if sum(batch.values()) >= BATCH]
    if len(counts) < SAMPLES:
        return None
    overall = sum((Counter(batch) for batch in counts), Counter())
    held, shuffled = fmean(map(len, counts)), fmean(_shuffled(overall, batch) for batch in counts)
    if len(overall) == 1 or median(map(len, counts)) > FEW or held > SHARE * shuffled:
        return None
    steps = {p["step"]: p["forms"].get("counts") or {} for p in history.probes if p.get("forms")}
    pairs = [(steps[n], steps[n + 1]) for n in steps if n + 1 in steps]
    if not pairs or not all(one.keys() & other.keys() for one, other in pairs):
        return None
    severity = of_choice(history)
    if severity == "info" and not history.val:
        severity = "warning"  # what is left of a batch's own error: it holds the class of the hour
    return Finding(
        CAUSE,
        severity,
        f"{len(counts)} sampled batches hold {held:.2g} classes in the mean, of the"
        f" {len(overall)} seen, and neighbours the same; shuffled ones would hold {shuffled:.2g}",
        advise(history.owner, line("DataLoader(..., shuffle=True)")).text,
        step=history.probes[0]["step"],
    )


def _shuffled(overall: Mapping[str, int], batch: Mapping[str, int]) -> float:
    """Classes that a batch of this size holds in the mean, drawn from all."""
    size, total = sum(batch.values()), sum(overall.values())
    return sum(1 - (1 - count / total) ** size for count in overall.values())
