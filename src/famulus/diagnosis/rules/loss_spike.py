"""A logged loss far above those before it (K11).

The limit of twice the running level follows mosaicml/llm-foundry's kill_loss_spike_callback. Near
zero, where a loss of a density may pass, twice a level is nothing: a jump must also be larger than
what lies between two logs anyway.
"""

from itertools import pairwise
from statistics import median

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import (
    Remedy,
    Step,
    advise,
    clipping,
    setting,
    significant,
)
from famulus.diagnosis.script import Script
from famulus.diagnosis.trend import training_loss

CAUSE = "loss-spike"
SUMMARY = "the loss jumped to more than twice its level"
TIMES = 2.0
WINDOW = 10  # logs before
SCATTER = 4.0  # times the median distance between neighbouring logs before
LITTLE = 0.05  # of what a constant scores: a jump below it is the noise of a net that has learned
BACK = 5  # logs within which a spike that does no harm is over
OFTEN = 3  # spikes: then something makes them
A_PASS = (0.7, 1.4)  # of the training samples: distance of spikes that one of them makes


def rule(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    spikes = []
    joined = [m["inputs"] for m in history.marks if m.get("what") == "growth" and "inputs" in m]
    little = LITTLE * max(0.0, history.floor("loss", "best constant") or 0.0)
    for n in range(WINDOW, len(loss)):
        # before a layer joined it was another net
        if any(seen[n - WINDOW] < at <= seen[n] for at in joined):
            continue
        before = loss[n - WINDOW : n]
        usual = median(before)
        scatter = median(abs(b - a) for a, b in pairwise(before))
        if usual > 0 and loss[n] > max(TIMES * usual, little, usual + SCATTER * scatter):
            spikes.append((loss[n] / usual, n, usual))
    if not spikes:
        return None
    times, n, usual = max(spikes)
    after = loss[n + 1 : n + 1 + BACK]
    over = bool(after) and min(after) < 1.1 * usual
    # of a loop of one's own, whose targets may move, as those of a policy do
    late = not over and not history.owner.is_file and median(loss[-BACK:]) < 1.1 * usual
    ended = f"; back at {min(after):.4g} within {BACK} logs" if over else "; it did not come back"
    if late:
        ended = f"; it came back, and is {median(loss[-BACK:]):.4g} in the last {BACK} logs"
    often, wrong_sample = _often(history, [seen[at] for _, at, _ in spikes])
    remedy = wrong_sample or _steadier(history)
    return Finding(
        CAUSE,
        "info" if (over or late) and not often else "warning",
        f"at {seen[n]:,} samples the training loss was {loss[n]:.4g}, {times:.1f} times the median"
        f" of the {WINDOW} logs before (limit {TIMES:g})" + ended + often,
        remedy.text,
        changes=remedy.changes,
        step=next(e["step"] for e in history.train if e["inputs"] == seen[n]),
        consequences=("predicts-the-mean",) if often else (),
    )


def _steadier(history: History) -> Remedy:
    owner, top = history.owner, rates.peak(history)
    warmup = [] if owner.value("training.schedule.warmup_inputs") else [_warmup(history)]
    return advise(owner, clipping(owner), *warmup, rates.step(history, significant(top / 3)))


def _warmup(history: History) -> Step:
    samples = max(1, history.train[-1]["inputs"] // 20)
    batch = int(history.owner.value("training.batch", 1))
    steps = max(1, history.train[-1]["step"] // 20)

    def code(script: Script) -> str:
        name = script.optimizer()
        return f"torch.optim.lr_scheduler.LinearLR({name}, 0.01, total_iters={steps})"

    return setting("training.schedule.warmup_inputs", max(batch, samples), code=code)


def _often(history: History, at: list[int]) -> tuple[str, Remedy | None]:
    """What is to be said of spikes that come back ("" where they don't); what to do, if known."""
    apart = [b - a for a, b in pairwise(at)]
    if len(at) < OFTEN:
        return "", None
    samples = history.facts.get("train_samples")
    text = f"; {len(at)} such logs, {median(apart):,.0f} samples apart in the median"
    if not samples or not A_PASS[0] <= median(apart) / samples <= A_PASS[1]:
        return text, None
    text += f", which is once in a pass over the {samples:,} training samples: one of them is wrong"
    every = setting(
        "training.log_every",
        {"steps": 1},
        why="shows the batch that the wrong sample is in: repair it, or leave it out",
        words="log every step, find the wrong sample, and repair it or leave it out",
    )
    return text, advise(history.owner, every)
