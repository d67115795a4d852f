"""Watches the logged loss: NaN, Inf and spikes. Called where the loop waits for the device anyway.

Source: a spike is a multiple of the running median, as in kill-loss-spike callbacks of the large
trainers; the median over the last 20 logged losses is not moved by the spike itself.
"""

import math
import statistics
from dataclasses import dataclass

from famulus.config.schema import Training
from famulus.training.progress import Progress

WINDOW = 20  # logged losses
ENOUGH = 5  # losses before a spike can be told


@dataclass(frozen=True)
class Alarm:
    """What was seen, and what the configuration says to do about it."""

    cause: str  # loss-not-finite | loss-spike
    action: str  # stop | rollback | report
    text: str


def inspect(training: Training, progress: Progress, values: dict[str, float]) -> Alarm | None:
    """Judges the mean losses since the last log, and remembers the total in `progress`."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        named = ", ".join(f"{name} = {values[name]}" for name in bad)
        return Alarm(
            "loss-not-finite", training.on_nan, f"{named} in the steps up to {progress.step}"
        )
    total = values["total"]
    alarm = None
    if training.spike and len(progress.recent) >= ENOUGH:
        # of logged means, which a checkpoint carries: a resumed run judges by the same ones
        usual = statistics.median(progress.recent)
        # A multiple means nothing for a loss about 0 or below, as likelihoods can be.
        if usual > 0 and total > training.spike.factor * usual:
            alarm = Alarm(
                "loss-spike",
                training.spike.action,
                f"loss {total:.4g} at step {progress.step} is {total / usual:.1f} times"
                f" its recent median {usual:.4g}",
            )
    # a spike too: a loss that stays high is soon the usual one
    progress.recent = [*progress.recent, total][-WINDOW:]
    return alarm
