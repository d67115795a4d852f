"""What rules on a Gaussian posterior look at: its last scores, and whether it had time to form."""

from dataclasses import dataclass

from famulus.diagnosis.history import History
from famulus.diagnosis.learning import FEW

ENOUGH = 0.2  # share of the budget after which a posterior at its start is no beginning


@dataclass(frozen=True)
class Posterior:
    """At the last validation. `sigma`: mean over units; `snr`: codes' spread over their noise."""

    step: int
    inputs: int
    kl: float
    sigma: float
    snr: float
    active: int
    code: int  # units in all
    formula: str  # of the KL: textbook | legacy
    weight: float


def posterior(history: History) -> Posterior | None:
    """None without a KL in the loss, or too early to tell."""
    loss, model = history.section("loss"), history.section("model")
    if len(history.val) < 2 or (loss.get("kl") or "none") == "none" or not loss.get("kl_weight"):
        return None
    last = history.val[-1]
    values = last["values"]
    if not {"kl", "sigma", "snr", "active_units"} <= set(values):
        return None
    if (last.get("step") or FEW) < FEW:
        return None
    budget = history.facts.get("budget") or history.owner.value("training.inputs", 0)
    if last["inputs"] < max(ENOUGH * budget, loss.get("kl_warmup_inputs") or 0):
        return None
    return Posterior(
        last["step"],
        last["inputs"],
        float(values["kl"]),
        float(values["sigma"]),
        float(values["snr"]),
        int(values["active_units"]),
        int(model.get("code") or 0),
        str(loss["kl"]),
        float(loss["kl_weight"]),
    )
