"""Limits of the rules that read the shape of a curve."""

from famulus.diagnosis.history import History
from famulus.diagnosis.rules import (
    cannot_tell,
    loss_rises_with_growth,
    loss_spike,
    loss_unbounded,
    memorises,
    memorises_the_pool,
    targets_redrawn,
)
from tests.diagnosis.rules.limits.limit import PER_STEP, Limit, run


def ends(*last, logs=16):
    """A loss of 1 that ends in these logs."""
    return run([1.0] * (logs - len(last)) + list(last))


def young(steps=12, before=1.0):
    """At what a constant scores; of 24 steps, still on its way there if it was worse before."""
    return run([1.0] * steps, [{"loss": before}, {"loss": 1.0}], floors={"loss": 1.0})


def early(finding):
    """Says that it is too early, and asks for ten times the samples."""
    return ("inputs", 10 * 12 * PER_STEP) in [
        (c.path.rpartition(".")[2], c.value) for c in finding.changes
    ]


def held_out(fall):
    return run([1.0] * 16, [{"loss": 1.0}, {"loss": 1 - fall}])


def spikes(*at, height=10.0, level=1.0, before=(), after=(), logs=80, **fields):
    """A level, jumps at these logs, and what stands right before and after the last of them."""
    losses = [level] * logs
    for n in at:
        losses[n] = height
    losses[at[-1] - len(before) : at[-1]] = before
    losses[at[-1] + 1 : at[-1] + 1 + len(after)] = after
    return run(losses, **fields)


def apart(*logs, of_a_pass=1.0):
    """Jumps so many logs apart, where the middle distance of 20 is a share of a pass."""
    at = [12 + sum(logs[:n]) for n in range(len(logs) + 1)]
    return spikes(*at, logs=200, facts={"train_samples": 20 * PER_STEP / of_a_pass})


def falls(to, logs=7, first=0.0, **floors):
    step = (to - first) / (logs - 1)
    return run([first + n * step for n in range(logs)], floors=floors)


def slows(to):
    """Down to -10 in the first half, then by a share of that."""
    return run([0.0, -3.0, -6.0, -10.0, -10 - 4 * to, -10 - 7 * to, -10 - 10 * to])


def plunges(to):
    """All the way in the first half."""
    return run([1.0, 1.0, to, to, to, to, to])


def own(history):
    """The same of a loop of one's own, whose loss is not known."""
    return History({**history.config, "task": "own-loop"}, history.train, floors=history.floors)


def turned(worse=1.2, after=5, fallen=0.8, passes=9.0, floor=None, accuracy=None):
    """Ten validations, the best one `after` before the end; the training loss falls after it."""
    val = [0.5 * worse] * (9 - after) + [0.5] + [0.5 * worse] * after
    losses = [1.0] * (20 - 2 * after) + [fallen] * 2 * after
    return run(
        losses,
        [
            {"loss": v} | ({} if accuracy is None else {"accuracy": a})
            for v, a in zip(val, [0.9] * 9 + [accuracy], strict=True)
        ],
        facts={"train_samples": 20 * PER_STEP / passes},
        floors=floor and {"loss": floor},
    )


def scattered(rise, count=7):
    """So many validations after the best one, half a unit above and below `rise`, in turn."""
    later = [1.0 + rise + 0.5 * (-1) ** n for n in range(count)]
    val = [2.0] * (10 - count) + [1.0, *later]
    losses = [1.0] * (2 * (11 - count)) + [0.6] * 2 * count
    return run(losses, [{"loss": v} for v in val])


def little(apart, floor=None):
    """Validation turned a little above a training loss of next to nothing; both began at 1."""
    val = [1.0] * 5 + [apart] + [2 * apart] * 4
    return run([1.0] * 12 + [0.3] * 8, [{"loss": v} for v in val], floors=floor and {"loss": floor})


def far_below(score):
    """Validation stands there, and training falls to next to nothing."""
    return run([1.0] * 14 + [1e-6] * 6, [{"loss": score}] * 10)


def stands(halved=0.4, stood=1.0, apart=4.0, validations=10, start=2.0):
    """Validation stands in the second half of the run, the training loss falls."""
    half = validations // 2
    val = [start] * half + [1.0] * (validations - half - 1) + [stood]
    low = stood / apart
    losses = [low / halved] * (2 * validations - 1) + [low]
    return run(losses, [{"loss": v} for v in val])


def at_once(val=1.2, loss=0.1, before=None, steps=32):
    scores = (val if before is None else before, val)
    losses = [1.0] * (steps - 1) + [loss]
    return run(losses, [{"loss": score} for score in scores], floors={"loss": 1.0})


def reloaded(*heights, second=10, last=10):
    """Ten logs a pool; the first two after each reload stand at a height above the others.

    Of the second pool and of the last one only the first `second` and `last` logs are there.
    """
    losses = [1.0] * 10
    for height in heights:
        losses += [height] * 2 + [1.0] * 8
    history = run(losses, config={"data": {"pool": 80, "reload": 80}})
    del history.train[len(losses) - 10 + last :]
    del history.train[10 + second : 20]
    return history


def uneven(second):
    """Pools that end in logs of 1 in the mean, and start with a log of 1 and one of `second`."""
    losses = [1.0, second, *[3.0] * 6, 0.9, 1.1] * 4
    return run(losses, config={"data": {"pool": 80, "reload": 80}})


def redrawn(loss=1.0, samples=8, times=30, targets="drawn anew"):
    losses = [1.0] * (times * samples // PER_STEP - 1) + [loss]
    return run(losses, floors={"loss": 1.0}, facts={"train_samples": samples, "targets": targets})


def grown(*heights, before=3):
    """A layer joins after each `before` logs of 1, and one log shows it."""
    losses, marks = [], []
    for height in heights:
        losses += [1.0] * before
        marks.append({"what": "growth", "step": len(losses), "inputs": PER_STEP * len(losses)})
        losses += [height]
    return run(losses, marks=[m | {"text": "layer"} for m in marks])


def warning(finding):
    return finding.severity == "warning"


def words(text):
    return lambda finding: text in finding.evidence


LIMITS = (
    Limit(cannot_tell, "FALL", lambda x: ends(1 - x, 1 - x), silent=0.0202, faulty=0.0198),
    Limit(cannot_tell, "FALL", held_out, silent=0.0202, faulty=0.0198),
    Limit(cannot_tell, "LONGER", young, silent=11, faulty=12, says=early),
    Limit(cannot_tell, "", lambda n: young(n), silent=16, faulty=15, says=words("15 steps are")),
    Limit(cannot_tell, "", lambda x: young(24, x), 1.048, 1.052, says=words("still gets better")),
    Limit(cannot_tell, "ENOUGH", lambda n: ends(logs=n), silent=7, faulty=8),
    # The mean of the last eighth, of two logs at least.
    Limit(cannot_tell, "", lambda x: ends(x, 0.97, 0.97, logs=24), silent=0.99, faulty=1.01),
    Limit(cannot_tell, "", lambda x: ends(x, 0.97, logs=8), silent=0.985, faulty=0.995),
    Limit(cannot_tell, "", lambda x: ends(x, 0.97, logs=23), silent=0.985, faulty=0.995),
    Limit(loss_spike, "TIMES", lambda x: spikes(20, height=x), silent=1.98, faulty=2.02),
    Limit(  # of what a constant scores
        loss_spike,
        "LITTLE",
        lambda x: spikes(20, height=x, level=0.02, floors={"loss": 1.0}),
        silent=0.049,
        faulty=0.051,
    ),
    Limit(  # 1.2, 0.8, 1.2, ... before: neighbours are .4 apart, and their median is 1
        loss_spike,
        "SCATTER",
        lambda x: spikes(20, height=x, before=[1.2, 0.8] * 5),
        silent=2.58,
        faulty=2.62,
    ),
    Limit(loss_spike, "WINDOW", spikes, silent=9, faulty=10),
    Limit(  # the median of the window, neither its mean nor its largest
        loss_spike,
        "",
        lambda n: spikes(20, height=2.1, before=[1.9] * n),
        silent=6,
        faulty=4,
    ),
    Limit(
        loss_spike, "BACK", lambda n: spikes(20, after=[1.3] * n), silent=4, faulty=5, says=warning
    ),
    Limit(  # from the first log on
        loss_spike,
        "",
        lambda x: spikes(20, after=[x] + [1.3] * 5),
        silent=1.0,
        faulty=1.3,
        says=warning,
    ),
    Limit(
        loss_spike, "", lambda x: spikes(20, after=[x] * 5), silent=1.09, faulty=1.11, says=warning
    ),
    Limit(  # of a loop of one's own, at its end
        loss_spike,
        "",
        lambda x: spikes(20, after=[1.3] * 5 + [x] * 54, config={"task": "own-loop"}),
        silent=1.09,
        faulty=1.11,
        says=warning,
    ),
    Limit(
        loss_spike,
        "OFTEN",
        lambda n: spikes(*range(15, 15 + 20 * n, 20)),
        silent=2,
        faulty=3,
        says=words("such logs"),
    ),
    *(
        Limit(
            loss_spike,
            "A_PASS",
            lambda x: apart(20, 20, of_a_pass=x),
            silent,
            faulty,
            says=words("once in a pass"),
        )
        for silent, faulty in ((0.69, 0.71), (1.41, 1.39))
    ),
    Limit(  # the median distance, not the mean
        loss_spike,
        "",
        lambda logs: apart(*logs),
        (20, 60, 60),
        (20, 20, 60),
        says=words("once in a pass"),
    ),
    Limit(loss_unbounded, "DEEP", lambda x: falls(x, loss=1.0), silent=-2.95, faulty=-3.05),
    Limit(loss_unbounded, "DEEP", lambda x: falls(x, first=1.0), silent=-2.95, faulty=-3.05),
    Limit(loss_unbounded, "", lambda x: falls(x, loss=0.0), silent=-2.9e-6, faulty=-3.1e-6),
    Limit(loss_unbounded, "", lambda n: falls(-10, logs=n, loss=1.0), silent=5, faulty=6),
    Limit(loss_unbounded, "", slows, silent=0.49, faulty=0.51),
    Limit(loss_unbounded, "DEEPER", lambda x: own(falls(x, loss=1.0)), -29.5, -30.5),
    Limit(loss_unbounded, "ANYWHERE", lambda x: plunges(x), silent=-0.99e6, faulty=-1.01e6),
    Limit(
        memorises,
        "WELL",
        lambda x: stands(start=x),
        silent=10.1,
        faulty=9.9,
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(
        memorises,
        "EQUAL",
        lambda x: turned(accuracy=0.9 - x),
        silent=0.049,
        faulty=0.051,
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(memorises, "WORSE", turned, silent=1.04, faulty=1.06),
    Limit(memorises, "AFTER", lambda n: turned(after=n), silent=1, faulty=2),
    Limit(  # of what the best validation, 0.5, had gained over a constant's 1
        memorises,
        "LOST",
        lambda x: turned(worse=1 + x, floor=1.0),
        silent=0.19,
        faulty=0.21,
        says=lambda finding: finding.severity == "warning",
    ),
    Limit(memorises, "FALLEN", lambda x: turned(fallen=x), silent=0.91, faulty=0.89),
    Limit(memorises, "PASSES", lambda x: turned(passes=x), silent=1.47, faulty=1.53),
    # The deviation of a zigzag, by its second differences, is 2 / sqrt(6); three lie a third below.
    Limit(memorises, "SCATTER", scattered, silent=2.2, faulty=2.7),
    Limit(memorises, "MANY", lambda n: scattered(1.0, n), silent=6, faulty=5),
    # of the best constant's loss, or of the first one
    Limit(memorises, "LITTLE", little, silent=0.0199, faulty=0.0201),
    Limit(memorises, "LITTLE", lambda x: little(x, 2.0), silent=0.0399, faulty=0.0401),
    Limit(memorises, "LITTLE", far_below, silent=0.0199, faulty=0.0201),
    Limit(memorises, "HALVED", stands, silent=0.51, faulty=0.49),
    Limit(memorises, "STOOD", lambda x: stands(stood=x), silent=0.94, faulty=0.96),
    Limit(memorises, "APART", lambda x: stands(apart=x), silent=2.95, faulty=3.05),
    Limit(memorises, "AFTER", lambda n: stands(validations=n), silent=4, faulty=5),
    Limit(memorises, "FALLEN", lambda x: at_once(loss=x), silent=0.46, faulty=0.44),
    Limit(memorises, "", at_once, silent=0.99, faulty=1.01),
    Limit(memorises, "", lambda n: at_once(steps=n), silent=15, faulty=16),
    Limit(memorises, "", lambda x: at_once(before=x), silent=1.252, faulty=1.248),
    Limit(memorises_the_pool, "JUMP", lambda x: reloaded(x, x, x), silent=1.04, faulty=1.06),
    Limit(  # in the median
        memorises_the_pool, "JUMP", lambda x: reloaded(1.01, x, 2.0), silent=1.04, faulty=1.06
    ),
    Limit(memorises_the_pool, "RELOADS", lambda n: reloaded(*[1.2] * n), silent=2, faulty=3),
    Limit(  # 5 of 7, 3 of 4
        memorises_the_pool,
        "SHARE",
        lambda rises: reloaded(*[1.2] * rises[0], *[0.9] * rises[1]),
        silent=(5, 2),
        faulty=(3, 1),
    ),
    Limit(memorises_the_pool, "", uneven, silent=1.04, faulty=1.06),
    # Two logs on either side of a reload, or it does not count; the last pool may be a part.
    Limit(memorises_the_pool, "", lambda n: reloaded(1.2, 1.2, 1.2, last=n), silent=1, faulty=2),
    Limit(
        memorises_the_pool, "", lambda n: reloaded(1, 1.2, 1.2, 1.2, second=n), silent=1, faulty=2
    ),
    Limit(targets_redrawn, "FEW", lambda n: redrawn(samples=n), silent=65, faulty=64),
    Limit(targets_redrawn, "SEEN", lambda n: redrawn(times=n), silent=19, faulty=20),
    Limit(targets_redrawn, "LEFT", redrawn, silent=0.098, faulty=0.102),
    Limit(targets_redrawn, "", lambda x: redrawn(targets=x), silent="fixed", faulty="drawn anew"),
    Limit(loss_rises_with_growth, "RISE", grown, silent=1.09, faulty=1.11),
    Limit(loss_rises_with_growth, "NEAR", lambda n: grown(2, before=n), silent=2, faulty=3),
    Limit(loss_rises_with_growth, "", lambda heights: grown(*heights), (2, 1, 1), (2, 1)),
)
