"""Limits of the rules that read the passes, starts and rates of a loop of one's own."""

from famulus.diagnosis.rules import (
    batch_norm_tiny_batch,
    data_not_shuffled,
    dropout_too_high,
    gradients_accumulate,
    gradients_cleared_before_step,
    initialisation,
    mode_not_restored,
    momentum_too_high,
    schedule_per_batch,
    step_before_backward,
)
from tests.diagnosis.rules.limits.limit import PER_STEP, Limit, run

FLOOR = {"loss": 1.0}
SOUND = ["forward", "backward", "update"]
WRONG = ["forward", "update", "backward"]


def looped(*loops, score=1.0, **fields):
    """Sampled steps of these passes; the score is a share of the best constant's."""
    probes = [{"step": n, "layers": [], "loop": loop} for n, loop in enumerate(loops)]
    val = [] if score is None else [{"loss": score}]
    return run([1.0] * 20, val, floors=FLOOR, probes=probes, **fields)


def norms(*each, score=1.0):
    return looped(*({"gradients": [one]} for one in each), score=score)


def added(kept=1.0, count=2, score=1.0):
    clear = {"kept": 0.0, "arrived": 1.0, "used": 1.0}
    return norms(clear, *[{**clear, "kept": kept}] * count, score=score)


def cleared(used=0.0, count=2, arrived=1.0):
    return norms(*[{"kept": 0.0, "arrived": arrived, "used": 0.0}] * (count - 1),
                 {"kept": 0.0, "arrived": arrived, "used": used})  # fmt: skip


def ordered(order, count=2, config=None):
    return looped(*[{"gradients": [], "order": order}] * count, config=config or {})


def pair():
    return {"training": {"optimizers": [{"class": "Adam"}, {"class": "Adam"}]}}


def drops(p=0.9, count=2, score=1.0):
    module = {"name": "2", "type": "Dropout", "p": p}
    return looped(*[{"gradients": [], "dropout": module}] * count, score=score)


def normed(values=2, samples=2, count=2, score=1.0):
    module = {"name": "1", "type": "BatchNorm1d", "values": values, "samples": samples}
    return looped(*[{"gradients": [], "norm": module}] * count, score=score)


def modes(*training, score=1.0):
    passes = ({"gradients": [], "training": t, "modes": [t]} for t in training)
    return looped(*passes, score=score)


def momentum(value, score=1.0):
    return looped(score=score, config={"training": {"optimizer": {"momentum": value}}})


def rates(lrs, changes=(), turns=0, score=1.0, epochs=None):
    """A log a step: its learning rate, and how often that changed up to it."""
    facts = {} if epochs is None else {"epochs": epochs}
    history = run([1.0] * len(lrs), [{"loss": score}], floors=FLOOR, facts=facts,
                  config={"task": "own-loop", "training": {"optimizer": {"lr": 0.01}}})  # fmt: skip
    for n, (event, lr) in enumerate(zip(history.train, lrs, strict=True)):
        event |= {"lr": lr, "lr_changes": changes[n] if n < len(changes) else 0}
    if turns:
        history.train[-1]["lr_turns"] = turns
    return history


def gone(at=2, of=10, to=1e-5, changes=9, apart=1, **fields):
    """At the rate of the start up to the log before `at`, and at `to` from there on."""
    history = rates([1.0] * (at - 1) + [to] * (of - at + 1), (changes,), **fields)
    for event in history.train:
        event["step"] *= apart
        event["inputs"] = PER_STEP * event["step"]
    return history


def warmed(first):
    """From this share of its highest value up to that, and then gone."""
    return rates([first, 1.0, *[1e-5] * 8], (9,))


def swings(turns=20, updates=1000, **fields):
    history = rates([1.0] * 10, (2 * turns,), turns, **fields)
    for n, event in enumerate(history.train, 1):
        event["step"] = n * updates // 10
    return history


def counted(*batches, score=1.0):
    """Sampled batches at steps 0, 1, 4, 8, ...: samples by class."""
    probes = [
        {"step": 2**n if n > 1 else n, "layers": [], "forms": {"counts": batch}}
        for n, batch in enumerate(batches)
    ]
    val = [] if score is None else [{"loss": score}]
    return run([1.0] * 20, val, floors=FLOOR, probes=probes)


def blocks(size=8, count=4, **fields):
    """Batches of one class, and from the middle on of another."""
    half = (count + 1) // 2
    return counted(*[{"a": size}] * half, *[{"b": size}] * (count - half), **fields)


def sharing(classes, size=16):
    """Neighbours share one of so many classes in a batch, of seven that there are."""
    names = "abcdefg"
    batches = [names[n : n + classes] for n in range(0, 5)]
    return counted(*({name: size for name in batch} for batch in batches))


def mixed(share):
    """Pure batches of the two classes, and as many mixed ones as make the mean share."""
    pure = round(100 * 2 * (1 - share))
    half = [{"a": 40}] * (pure // 2), [{"b": 40}] * (pure - pure // 2)
    return counted(*half[0], *[{"a": 20, "b": 20}] * (100 - pure), *half[1])


def starting(*sizes, alike=0, score=1.0):
    """Layers of these sizes, the first of them with equal weights."""
    layers = [
        {"name": str(n), "type": "Linear", "size": size, "alike": n < alike, "fresh": False}
        for n, size in enumerate(sizes)
    ]
    val = [] if score is None else [{"loss": score}]
    return run([1.0] * 20, val, floors=FLOOR, facts={"start": layers})


def error(finding):
    return finding.severity == "error"


def grave(finding):
    return finding.severity != "info"


LIMITS = (
    Limit(gradients_accumulate, "", added, silent=0.0, faulty=1e-6),
    Limit(  # without an update something else is wrong
        gradients_accumulate,
        "",
        lambda order: looped(*({**p["loop"], "order": order} for p in added().probes)),
        silent=SOUND[:2],
        faulty=SOUND,
    ),
    Limit(gradients_accumulate, "SAMPLES", lambda n: added(count=n), silent=1, faulty=2),
    Limit(
        gradients_accumulate,
        "loop.ENOUGH",
        lambda x: added(score=x),
        silent=0.69,
        faulty=0.71,
        says=error,
    ),
    Limit(gradients_cleared_before_step, "", cleared, silent=1e-6, faulty=0.0),
    Limit(gradients_cleared_before_step, "SAMPLES", lambda n: cleared(count=n), 1, 2),
    Limit(gradients_cleared_before_step, "", lambda x: cleared(arrived=x), silent=0.0, faulty=1e-6),
    Limit(step_before_backward, "WRONG", ordered, silent=SOUND, faulty=WRONG),
    Limit(step_before_backward, "", ordered, silent=[*SOUND, "forward"], faulty=[*WRONG, WRONG[0]]),
    Limit(step_before_backward, "", ordered, SOUND[2:] + SOUND[:2], WRONG[1:] + WRONG[:1]),
    Limit(step_before_backward, "", ordered, silent=[*WRONG, *SOUND], faulty=WRONG),
    Limit(step_before_backward, "SAMPLES", lambda n: ordered(WRONG, n), silent=1, faulty=2),
    Limit(step_before_backward, "", lambda c: ordered(WRONG, config=c), silent=pair(), faulty={}),
    Limit(dropout_too_high, "MOST", drops, silent=0.74, faulty=0.76),
    Limit(dropout_too_high, "SAMPLES", lambda n: drops(count=n), silent=1, faulty=2),
    Limit(
        dropout_too_high,
        "loop.WELL",
        lambda x: drops(score=x),
        silent=0.09,
        faulty=0.11,
        says=grave,
    ),
    Limit(
        dropout_too_high,
        "loop.ENOUGH",
        lambda x: drops(score=x),
        silent=0.69,
        faulty=0.71,
        says=error,
    ),
    Limit(
        dropout_too_high,
        "USUAL",
        lambda p: own(drops(p)),
        silent=0.5,
        faulty=0.9,
        says=lambda finding: "Dropout(0.2)" in finding.remedy,
    ),
    Limit(batch_norm_tiny_batch, "VALUES", lambda n: normed(n, samples=8), silent=5, faulty=4),
    Limit(batch_norm_tiny_batch, "PAIR", lambda n: normed(100, n), silent=3, faulty=2),
    Limit(batch_norm_tiny_batch, "", lambda x: normed(100, 2, score=x), silent=0.69, faulty=0.71),
    Limit(batch_norm_tiny_batch, "", lambda x: normed(score=x), silent=0.09, faulty=0.11),
    Limit(batch_norm_tiny_batch, "SAMPLES", lambda n: normed(count=n), silent=1, faulty=2),
    Limit(
        batch_norm_tiny_batch,
        "USUAL",
        lambda n: own(normed(n, samples=8)),
        silent=5,
        faulty=2,
        says=lambda finding: "batch_size=32" in finding.remedy,
    ),
    Limit(mode_not_restored, "", lambda m: modes(True, m, m), silent=True, faulty=False),
    Limit(
        mode_not_restored,
        "SAMPLES",
        lambda n: modes(True, *[False] * n),
        silent=1,
        faulty=2,
    ),
    *(  # from the start it may be meant, where a run has learned or nobody knows
        Limit(
            mode_not_restored,
            "",
            lambda m, score=score: modes(m, False, False, score=score),
            silent=False,
            faulty=True,
            says=grave,
        )
        for score in (0.5, None)
    ),
    Limit(
        mode_not_restored,
        "loop.ENOUGH",
        lambda x: modes(False, False, score=x),
        silent=0.69,
        faulty=0.71,
        says=grave,
    ),
    Limit(
        mode_not_restored,
        "",
        lambda mode: run(facts={"validation_mode": mode}),
        silent="evaluation",
        faulty="training",
    ),
    Limit(momentum_too_high, "MOST", momentum, silent=0.994, faulty=0.996),
    Limit(
        momentum_too_high,
        "loop.WELL",
        lambda x: momentum(0.999, x),
        silent=0.09,
        faulty=0.11,
        says=grave,
    ),
    Limit(
        momentum_too_high,
        "USUAL",
        lambda m: own(momentum(m)),
        silent=0.9,
        faulty=0.999,
        says=lambda finding: "(momentum=0.9)" in finding.remedy,
    ),
    Limit(
        momentum_too_high,
        "ADAMS",
        lambda b: looped(config={"task": "own-loop", "training": {"optimizer": {"betas": b}}}),
        silent=[0.9, 0.999],
        faulty=[0.999, 0.9],
        says=lambda finding: "(betas=(0.9, 0.999))" in finding.remedy,
    ),
    Limit(schedule_per_batch, "LITTLE", lambda x: gone(to=x), silent=0.011, faulty=0.009),
    Limit(schedule_per_batch, "WARM", warmed, silent=0.49, faulty=0.51),
    Limit(schedule_per_batch, "EARLY", lambda n: gone(at=n), silent=6, faulty=5),
    Limit(schedule_per_batch, "APART", lambda n: gone(apart=n, changes=4), silent=101, faulty=99),
    Limit(schedule_per_batch, "", lambda n: gone(epochs=n), silent=9, faulty=8),
    Limit(schedule_per_batch, "TURNS", lambda n: swings(n, 90 * n), silent=9, faulty=10),
    Limit(schedule_per_batch, "APART", lambda n: swings(20, 20 * n), silent=101, faulty=99),
    Limit(
        schedule_per_batch,
        "loop.WELL",
        lambda x: gone(score=x),
        silent=0.09,
        faulty=0.11,
        says=grave,
    ),
    Limit(data_not_shuffled, "SAMPLES", lambda n: blocks(count=n), silent=3, faulty=4),
    Limit(data_not_shuffled, "BATCH", lambda n: blocks(n), silent=7, faulty=8),
    Limit(data_not_shuffled, "FEW", sharing, silent=3, faulty=2),
    Limit(data_not_shuffled, "SHARE", mixed, silent=0.61, faulty=0.59),
    Limit(
        data_not_shuffled,
        "loop.WELL",
        lambda x: blocks(score=x),
        silent=0.09,
        faulty=0.11,
        says=grave,
    ),
    Limit(
        data_not_shuffled,
        "",
        lambda n: counted({"a": 8}, {n: 8}, {"a": 8}, {"b": 8}),
        silent="b",
        faulty="a",
    ),
    Limit(initialisation, "LARGE", lambda x: starting(0.4, x, 9), silent=2.4, faulty=2.6),
    Limit(initialisation, "SMALL", lambda x: starting(1e-3, x, 1), silent=0.021, faulty=0.019),
    Limit(initialisation, "ALIKE", lambda n: starting(*[0.4] * 6, alike=n), silent=2, faulty=3),
    Limit(initialisation, "", lambda n: starting(*[0.0] * n, alike=n), silent=1, faulty=2),
    Limit(initialisation, "loop.WELL", lambda x: starting(9, score=x), silent=0.09, faulty=0.11),
    Limit(
        initialisation,
        "loop.ENOUGH",
        lambda x: starting(0.001, 0.001, score=x),
        silent=0.69,
        faulty=0.71,
    ),
)


def own(history):
    """As of a loop of one's own, which reads lines of Python."""
    history.config["task"] = "own-loop"
    return history
