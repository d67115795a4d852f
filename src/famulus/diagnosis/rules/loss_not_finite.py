"""NaN or Inf in a loss (K8 in the catalogue of causes)."""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.contract import EVERYTHING
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import bare_logarithm
from famulus.diagnosis.remedy import Step, advise, clipping, line

CAUSE = "loss-not-finite"
SUMMARY = "a loss became NaN or infinite"


def rule(history: History) -> Finding | None:
    marks = [mark for mark in history.marks if mark.get("what") == CAUSE]
    if not marks:
        return None
    text = marks[0].get("text", "the loss is no number")
    if bare_logarithm(history):
        # whatever brought an answer to 0, a sound loss would have lived through it
        return Finding(
            CAUSE,
            "error",
            f"{text}; the loss takes a logarithm of the outputs, and nothing keeps these from 0",
            advise(
                history.owner, line("torch.log(outputs.clamp_min(1e-8))", "or a loss of logits")
            ).text,
            step=marks[0]["step"],
            consequences=EVERYTHING,
        )
    rate = rates.rate_at(history, marks[0]["step"])
    remedy = advise(
        history.owner,
        rates.step(history, rates.lower(history)),
        clipping(history.owner),
        Step(
            words="if it is still not finite then, look for a log or a division of 0 in the loss",
            after=True,
        ),
    )
    return Finding(
        CAUSE,
        "error",
        f"{text}, at a learning rate of {rate:.3g}",
        remedy.text,
        changes=remedy.changes,
        step=marks[0]["step"],
    )
