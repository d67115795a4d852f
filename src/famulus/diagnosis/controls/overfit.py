"""One batch with frozen targets must be learned by heart (K3).

Source: karpathy.github.io/2019/04/25/recipe: a net that can't overfit one batch will not learn a
data set either.
"""

import math
from collections.abc import Callable

from famulus.diagnosis.controls import Control

SHARE = 0.5  # of the way from the first loss to `best` that must be gone
STEPS = 300


def overfit(
    step: Callable[[], dict[str, float]], part: str, best: float, steps: int = STEPS
) -> Control:
    """`step()` trains once on the same batch and returns the loss parts.

    `part`: the loss part judged; `best`: its least possible value where known, else 0.
    """
    first = last = math.nan
    for number in range(steps):
        last = step()[part]
        if number == 0:
            first = last
        if not math.isfinite(last):
            return Control(
                "overfit one batch",
                "failed",
                f"{part} became {last} at step {number} on one frozen batch",
                "lower training.optimizer.lr, or set training.clip: 1.0",
                {"first": first, "last": last, "steps": number + 1},
            )
    gone = (first - last) / max(first - best, 1e-12)
    figures = {"first": first, "last": last, "share_gone": gone, "steps": steps}
    text = f"{part} {first:.4g} → {last:.4g} in {steps} steps on one frozen batch"
    if gone >= SHARE:
        return Control("overfit one batch", "ok", text, figures=figures)
    return Control(
        "overfit one batch",
        "warning",
        f"{text}: only {gone:.0%} of the way to {best:.4g}",
        "try a higher training.optimizer.lr; if it stays so, the loss does not reach the weights"
        " or target and input do not belong together",
        figures,
    )
