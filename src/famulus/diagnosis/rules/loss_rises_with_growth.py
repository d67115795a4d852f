"""The loss rises as layers join: a fresh layer answers at random, and the code shrinks (K12).

No fault, but it makes losses of different stages incomparable.
"""

from famulus.diagnosis.history import Finding, History

CAUSE = "loss-rises-with-growth"
SUMMARY = "the loss rises each time that a layer joins, and falls again: the method, no fault"
RISE = 1.1  # mean after / mean before, from which a step is seen
NEAR = 3  # logged losses on either side


def rule(history: History) -> Finding | None:
    marks = [m for m in history.marks if m.get("what") == "growth" and "inputs" in m]
    logs = [e for e in history.train if "total" in e["values"]]
    rises = []
    for mark in marks:
        before = [e for e in logs if e["inputs"] <= mark["inputs"]][-NEAR:]
        # The first log alone: the loss falls again soon.
        after = [e for e in logs if e["inputs"] > mark["inputs"]][:1]
        if len(before) < NEAR or not after:
            continue
        usual = sum(e["values"]["total"] for e in before) / NEAR
        if usual > 0:
            rises.append((after[0]["values"]["total"] / usual, mark))
    large = [r for r in rises if r[0] > RISE]
    if not large or 2 * len(large) < len(rises):
        return None
    factor, mark = max(large, key=lambda r: r[0])
    return Finding(
        CAUSE,
        "info",
        f"the loss rose at {len(large)} of {len(rises)} growth events, most by {factor - 1:.0%} at"
        f" {mark['inputs']:,} samples ({mark.get('text', 'growth')})",
        "compare losses at equal val/code_numbers only, and give the last stage most of the"
        " training",
        step=mark["step"],
        consequences=("loss-spike",),
    )
