"""Momentum that averages over more updates than a training can wait for.

A momentum of m adds up the gradients of some 1 / (1 - m) updates. Of .99 that is a hundred, which
small learning rates allow for; .999 is mostly the place of Adam's second number.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import of_choice
from famulus.diagnosis.remedy import Change, Step, advise

CAUSE = "momentum-too-high"
SUMMARY = "momentum adds up the gradients of so many updates that steps overshoot or come too late"
MOST = 0.995
USUAL = 0.9
ADAMS = 0.999


def rule(history: History) -> Finding | None:
    for one in history.owner.script.optimizers:
        betas = one.get("betas")
        first = betas[0] if isinstance(betas, list | tuple) and betas else None
        of_adam = first is not None
        momentum = first if of_adam else one.get("momentum")
        if not isinstance(momentum, int | float) or momentum <= MOST or not history.train:
            continue
        updates = 1 / max(1 - momentum, 1e-9)
        usual = [USUAL, ADAMS] if of_adam else USUAL
        key = "betas" if of_adam else "momentum"
        code = f"betas=({USUAL}, {ADAMS})" if of_adam else f"momentum={USUAL}"
        remedy = advise(
            history.owner,
            Step(
                ways=((Change(f"training.optimizer.{key}", usual),),),
                code=history.owner.script.construction(code, holder=one),
            ),
        )
        return Finding(
            CAUSE,
            of_choice(history),
            f"a momentum of {momentum:g} (limit {MOST:g}) adds up the gradients of the last"
            f" {updates:,.0f} updates; the run had {history.train[-1]['step']:,}",
            remedy.text,
            changes=remedy.changes,
        )
    return None
