"""A logged loss far above those before it (K11).

The limit of twice the running level follows mosaicml/llm-foundry's kill_loss_spike_callback.
"""

from itertools import pairwise
from statistics import median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import training_loss

CAUSE = "loss-spike"
SUMMARY = "the loss jumped to more than twice its level"
TIMES = 2.0
WINDOW = 10  # logs before
LITTLE = 0.05  # of what a constant scores: a jump below it is the noise of a net that has learned
BACK = 5  # logs within which a spike that does no harm is over
OFTEN = 3  # spikes: then something makes them
A_PASS = (0.7, 1.4)  # of the training samples: distance of spikes that one of them makes


def rule(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    spikes = []
    little = LITTLE * max(0.0, history.floor("loss", "best constant") or 0.0)
    for n in range(WINDOW, len(loss)):
        usual = median(loss[n - WINDOW : n])
        if usual > 0 and loss[n] > max(TIMES * usual, little):
            spikes.append((loss[n] / usual, n, usual))
    if not spikes:
        return None
    times, n, usual = max(spikes)
    after = loss[n + 1 : n + 1 + BACK]
    over = bool(after) and min(after) < 1.1 * usual
    rate = max(event["lr"] for event in history.train)  # what a schedule starts from
    told, remedy = _often(history, [seen[at] for _, at, _ in spikes])
    return Finding(
        CAUSE,
        "info" if over and not told else "warning",
        f"at {seen[n]:,} inputs the loss was {loss[n]:.4g}, {times:.1f} times the median of the"
        f" {WINDOW} logs before (limit {TIMES:g})"
        + (f"; back at {min(after):.4g} within {BACK} logs" if over else "; it did not come back")
        + told,
        remedy
        or "training.clip: 1.0, training.schedule.warmup_inputs, or"
        f" training.optimizer.lr: {rate / 3:.2g}",
        step=history.train[n]["step"],
        consequences=("predicts-the-mean",) if told else (),
    )


def _often(history: History, at: list[int]) -> tuple[str, str]:
    """What is to be said of spikes that come back, and what to do; empty where they don't."""
    apart = [b - a for a, b in pairwise(at)]
    if len(at) < OFTEN:
        return "", ""
    samples = history.facts.get("train_samples")
    told = f"; {len(at)} such logs, {median(apart):,.0f} inputs apart in the median"
    if not samples or not A_PASS[0] <= median(apart) / samples <= A_PASS[1]:
        return told, ""
    told += f", which is once in a pass over the {samples:,} training samples: one of them is wrong"
    return told, "find the sample (training.log_every: {steps: 1}) and repair or leave it out"
