"""No rule breaks on a run that is odd: its findings are written at its end, and would end it."""

from itertools import product

import pytest

from famulus.diagnosis.history import from_events
from famulus.diagnosis.verdict import diagnose

STEPS = range(0, 160, 8)
LOSSES = {
    "zero": lambda n: 0.0,
    "falling below zero": lambda n: 1.0 - 0.2 * n,
    "huge": lambda n: 1e30 * (n + 1),
    "not finite": lambda n: float("nan") if n > 5 else 1.0,
    "straight": lambda n: 2.0 - 0.05 * n,
}


def layer(update, grad):
    return {"name": "0", "type": "Linear", "numbers": 8, "weight": 0.0, "update": update,
            "grad": grad, "dead": 1.0, "saturated": None}  # fmt: skip


def events(loss, lr, floor, validated):
    yield {"kind": "floor", "score": "loss", "value": floor, "means": "best constant"}
    for n, step in enumerate(STEPS):
        at = {"step": step, "inputs": 4 * step, "s": 0.0}
        yield {"kind": "train", **at, "values": {"total": loss(n)}, "lr": lr, "rate": 0.0}
        yield {"kind": "probe", **at, "layers": [layer(0.0, 0.0)], "batch": {}, "rank": None,
               "memory_mb": 0.0}  # fmt: skip
        if validated and n % 4 == 3:
            yield {"kind": "val", **at, "values": {"loss": loss(n), "l1": 0.0}}


@pytest.mark.parametrize("task", ["own-loop", "tiles"])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_rule_breaks(task, loss):
    for lr, floor, validated in product((0.0, 1e-3), (0.0, -0.5, 1.0), (True, False)):
        config = {"task": task, "training": {"optimizer": {"name": "sgd", "lr": lr}}}
        findings = diagnose(from_events(config, events(LOSSES[loss], lr, floor, validated)))
        assert all("nan" not in finding.remedy for finding in findings)
