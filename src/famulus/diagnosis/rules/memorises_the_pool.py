"""The loss jumps each time that the pool of examples is drawn anew: it was known by heart (K13)."""

from statistics import median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, setting
from famulus.diagnosis.trend import training_loss

CAUSE = "memorises-the-pool"
SUMMARY = "the loss jumps whenever the pool of examples is reloaded: the pool is overfitted"
JUMP = 1.05  # median of loss after / before a reload
RELOADS = 3
SHARE = 0.75  # of the reloads that must jump up


def rule(history: History) -> Finding | None:
    data = history.section("data")
    pool, every = data.get("pool"), data.get("reload")
    if not pool or not every:
        return None
    seen, loss = training_loss(history)
    jumps = []
    for n in range(1, int(seen[-1] / every) + 1 if seen else 0):
        before = [v for at, v in zip(seen, loss, strict=True) if (n - 1) * every < at <= n * every]
        # The first log after the reload may hold steps of before it.
        after = [v for at, v in zip(seen, loss, strict=True) if n * every < at <= (n + 1) * every]
        if len(before) >= 2 and len(after) >= 2 and before[-1] > 0:
            # Two logs on either side: the noise of one batch would pass for a jump.
            near = before[-2:]
            jumps.append(max(after[:2]) * len(near) / sum(near))
    up = [j for j in jumps if j > 1]
    if len(jumps) < RELOADS or len(up) < SHARE * len(jumps) or median(jumps) < JUMP:
        return None
    remedy = advise(
        history.owner,
        setting("data.pool", 10 * pool),
        setting("data.pool", None, why="every cube new"),
        Step(words="judging by val/loss alone"),
    )
    return Finding(
        CAUSE,
        "warning",
        f"at {len(up)} of {len(jumps)} reloads of the pool of {pool:,} the training loss rose, by"
        f" {median(jumps) - 1:.0%} in the median (limit {JUMP - 1:.0%}); each example had been seen"
        f" {every / pool:.1f} times. The loss between reloads is that of overfitted samples",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
        consequences=("memorises", "loss-spike"),
    )
