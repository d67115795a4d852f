"""A logged loss far above those before it (K11).

The limit of twice the running level follows mosaicml/llm-foundry's kill_loss_spike_callback.
"""

from statistics import median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import training_loss

CAUSE = "loss-spike"
SUMMARY = "the loss jumped to more than twice its level"
TIMES = 2.0
WINDOW = 10  # logs before
BACK = 5  # logs within which a spike that does no harm is over


def rule(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    spikes = []
    for n in range(WINDOW, len(loss)):
        usual = median(loss[n - WINDOW : n])
        if usual > 0 and loss[n] > TIMES * usual:
            spikes.append((loss[n] / usual, n, usual))
    if not spikes:
        return None
    times, n, usual = max(spikes)
    after = loss[n + 1 : n + 1 + BACK]
    over = bool(after) and min(after) < 1.1 * usual
    rate = history.train[n]["lr"]
    return Finding(
        CAUSE,
        "info" if over else "warning",
        f"at {seen[n]:,} inputs the loss was {loss[n]:.4g}, {times:.1f} times the median of the"
        f" {WINDOW} logs before (limit {TIMES:g})"
        + (f"; back at {min(after):.4g} within {BACK} logs" if over else "; it did not come back"),
        f"training.clip: 1.0, training.schedule.warmup_inputs, or training.optimizer.lr:"
        f" {rate / 3:.2g}",
        step=history.train[n]["step"],
    )
