"""Short trainings that differ from a run in one thing each: which of them learns what it did not?

A limit on a rate, a gradient or an input accuses sound nets. Here a copy of the net starts again
from the run's first weights on batches that the run has seen, as configured and with one change;
a part of the batches is kept aside to judge. Only what at least halves the error that the run has
left, and that the same number of unchanged steps leaves, is named. Where no single change helps
but all together do, each is taken back in turn: those without which it fails are named.

`left` is 1 for the best constant, 0 for a perfect net (`diagnosis.loss_forms.left_over`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from famulus.diagnosis.contract import LEARNED
from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.controls.trial import (
    Budget,
    Change,
    Judged,
    OutOfTimeError,
    Subject,
    bare,
    far_input,
    judge,
    quiet,
    trial,
    unusual_input,
    unusual_start,
    with_relu,
)
from famulus.diagnosis.remedy import significant

NAME = "trials"
TOGETHER = 6000  # steps of all trials, where nobody says how many
WALL_S = 120.0  # that those may take: three times what steps of 6 ms do
HELPS = 0.5  # of what the run has left
STEPS, FEWEST, MOST = 300, 30, 3000  # of a trial; below FEWEST it tells nothing; of a longer run
TIMES = (10.0, 100.0, 1000.0)  # by which a rate is lowered and raised
USUAL = (1e-3, 1e-2, 0.1, 1.0)  # rates at which nets learn: a rate that is farther off tries these
FAR = 10.0  # times the least and the highest of ADAM: no rate of any optimizer's
HOPELESS = 1.5  # times the seconds that there are: a search that would take as long is not begun
ADAM = (0.001, 0.01, 0.1)
LARGE = 128  # examples in a batch, from which on a smaller one is tried
AS_GOOD = 1.25  # times what Adam leaves, up to which a rate is the smaller change
NEAR, NEARLY = 2.0, 0.02  # times the best, and beside it: as good
SCHEDULED = 0.1  # of the highest rate's sum, below which a schedule took the rate away
A_FOURTH = 0.25  # the same: whoever left less would have got there sooner otherwise, and got there
SOONER = ("rate-too-low", "optimizer-choice", "batch-size")
A_LITTLE = 0.5  # of a constant's error: whoever left less has learned, and may end there


@dataclass(frozen=True)
class Way:
    """A single change that was tried, and the best that came of it."""

    cause: str
    text: str
    remedy: str
    judged: Judged
    rate: float | None = None  # learning rate, where it is what was changed

    @property
    def left(self) -> float:
        return self.judged.left


def trials(subject: Subject, budget: Budget) -> list[Control]:
    """Controls that name a cause, and one, `trials`, with all figures.

    Which cause that is follows from the steps of `budget` alone; if its seconds end before all is
    tried, none is named. Raises whatever the net raises when it is called again.
    """
    with quiet(subject.model):
        search = _Search(subject, budget)
        try:
            return search.controls()
        except OutOfTimeError:
            return [search.out_of_time()]


def _rates(lr: float) -> tuple[list[float], list[float]]:
    """Those below a rate and those above it, nearest first, until usual ones are among them."""
    slower, faster = [lr / t for t in TIMES if lr], [lr * t for t in TIMES if lr]
    least, most = min(slower, default=0.0), max(faster, default=0.0)
    # what is not much farther than the last one would be that one again
    return [*slower, *(r for r in reversed(USUAL) if r < least / 2)], [
        *faster,
        *(r for r in USUAL if r > 2 * most),
    ]


class _Search:
    def __init__(self, subject: Subject, budget: Budget) -> None:
        self.subject, self.budget = subject, budget
        self.figures: dict[str, float] = {}
        self.planned = 0  # steps
        self.lr = float(subject.options["lr"])
        self.slower, self.faster = _rates(self.lr)

    def controls(self) -> list[Control]:
        subject = self.subject
        self.run = judge(subject, bare(subject.model), lambda x: x)
        self.run_left = self.run.left
        if math.isnan(self.run_left):
            return [Control(NAME, "skipped", "outputs and targets allow no judgement")]
        self.figures["run"] = round(self.run_left, 4)
        if self.run_left <= LEARNED:
            text = f"{_percent(self.run_left)} of the best constant predictor's error is left:"
            text += " nothing to look for"
            return [Control(NAME, "ok", text, figures=self.figures)]
        self.whole = Change(
            scaled=unusual_input(subject),
            redrawn=unusual_start(subject),
            relu=with_relu(bare(subject.model)),
        )
        longest = 0 if subject.ended_early else self.budget.steps // 4
        most = self.most_trials()
        share = (self.budget.steps - longest) // most
        if subject.kept < SCHEDULED and (way := self.at_constant_rate(max(share, longest))):
            return [*self.named([way]), self.summary()]
        self.steps = min(max(subject.steps, 2 * FEWEST), STEPS, share)
        self.longest = 0 if subject.ended_early else min(3 * subject.steps, MOST, longest)
        if self.steps < FEWEST:
            text = f"{self.budget.steps} steps are less than {FEWEST} for each of {most} trials"
            remedy = f"Monitor(..., controls_steps={2 * FEWEST * most})"
            return [Control(NAME, "skipped", text, remedy)]
        self.planned = self.budget.spent + most * self.steps + self.longest
        unchanged = self.left("as it was", Change())
        if self.budget.expected(self.planned) > HOPELESS * self.budget.seconds:
            raise OutOfTimeError
        self.unchanged, self.again = unchanged, unchanged.left
        self.limit = HELPS * min(self.run_left, self.again)
        mended = self.again <= HELPS * self.run_left  # by the number of steps alone
        ways = self.helpful(self.single())
        if not ways and mended and self.steps > subject.steps and not subject.ended_early:
            longer = [self.way("too-few-epochs", unchanged)]
            ways = longer if unchanged.clearly_better(self.run) else []
        elif not ways and not mended:
            ways = self.needed()
        return [*self.named(ways), self.summary()]

    def out_of_time(self) -> Control:
        """Not all was tried: nothing is named."""
        steps, spent = self.planned or self.budget.steps, self.budget.spent
        needs = significant(HOPELESS * self.budget.expected(steps), 1)
        text = f"{spent:,} of up to {steps:,} steps took {self.budget.took:.2g} s, and controls_s"
        text += f" allows {self.budget.seconds:.2g} s: what a part of them says names no cause"
        return Control(NAME, "skipped", text, f"Monitor(..., controls_s={needs:g})")

    def most_trials(self) -> int:
        """How many of the usual length there can be: `unchanged`, `single` and `needed`."""
        changes = sum((self.whole.scaled, self.whole.redrawn, self.whole.relu))
        adams = len(ADAM) * (1 + (not self.is_adam)) + self.far
        rates = len([*self.slower, *self.faster]) * (1 + (changes > 0))
        return 1 + 2 * changes + adams + rates + (changes > 0) + (self.size >= LARGE)

    @property
    def is_adam(self) -> bool:
        """Is it one of Adam's family, whoever wrote it?"""
        return any("adam" in kind.__name__.lower() for kind in self.subject.optimizer.__mro__)

    @property
    def far(self) -> bool:
        """Is the run's rate none of any optimizer's?"""
        return not min(ADAM) / FAR < self.lr <= max(ADAM) * FAR

    @property
    def size(self) -> int:
        return len(self.subject.batches[0][1])

    def left(
        self, name: str, change: Change, steps: int | None = None, state: Any = None
    ) -> Judged:
        found = trial(self.subject, change, steps or self.steps, self.budget, state)
        self.figures[name] = round(found.left, 4)
        return found

    def helps(self, way: Way) -> bool:
        """At most half is left of what the run and its repetition left, and that is no noise."""
        goes_on = way.cause == "too-few-epochs"  # from where the run ended
        rivals = [self.run] if goes_on else [self.run, self.unchanged]
        return all(
            way.left <= HELPS * rival.left and way.judged.clearly_better(rival) for rival in rivals
        )

    def at_constant_rate(self, most: int) -> Way | None:
        """The same again without the schedule that took the rate away, if that is what helps."""
        self.steps = min(max(self.subject.steps, 2 * FEWEST), STEPS, most)
        if self.steps < FEWEST:
            return None
        constant = self.left("rate kept", Change())
        self.again = constant.left
        if self.again > HELPS * self.run_left or not constant.clearly_better(self.run):
            return None
        return self.way("rate-cannot-reach", constant, significant(self.lr))

    # -- one change each

    def single(self) -> list[Way]:
        subject, found = self.subject, []
        if self.whole.scaled:
            found.append(
                self.way("input-out-of-range", self.left("input scaled", Change(scaled=True)))
            )
        if self.whole.redrawn:
            found.append(
                self.way("initialisation", self.left("weights redrawn", Change(redrawn=True)))
            )
        if self.whole.relu:
            found.append(self.way("vanishing-gradient", self.left("relu", Change(relu=True))))
        state = subject.model.state_dict()
        if self.longest > FEWEST:
            longer = self.left("longer", Change(), self.longest, state)
            found.append(self.way("too-few-epochs", longer))
        found += self.rates(Change())
        found += self.adams(Change())
        if self.size >= LARGE:
            smaller = self.left("batch / 16", Change(batch=max(8, self.size // 16)))
            found.append(self.way("batch-size", smaller, max(8, self.size // 16)))
        return found

    def rates(self, change: Change) -> list[Way]:
        tag, ways = "" if change == Change() else " with all else", []
        for cause, rates in (("rate-too-high", self.slower), ("rate-too-low", self.faster)):
            each = {r: self.left(f"rate {r:.3g}{tag}", replace(change, rate=r)) for r in rates}
            if each:
                best = _middle(each)
                ways.append(self.way(cause, each[best], significant(best)))
        return ways

    def adams(self, change: Change) -> list[Way]:
        if self.is_adam:
            return []
        each = {lr: self.left(f"adam {lr:g}", replace(change, adam=lr)) for lr in ADAM}
        best = min(each, key=lambda lr: each[lr].left)
        return [self.adam(each[best], best, change)]

    def adam(self, judged: Judged, best: float, change: Change) -> Way:
        """What helps where Adam at `best` does: another optimizer, unless it is the rate.

        Adam's own rates are no other optimizer to whoever has Adam; and of a rate that no
        optimizer learns at, Adam at that rate tells whether it would have done.
        """
        way = self.way("optimizer-choice", judged, best)
        rate = "rate-too-low" if self.lr < best else "rate-too-high"
        if self.is_adam:
            return self.way(rate, judged, best)
        if not self.far or not self.helps(way):
            return way
        own = self.left("adam, own rate", replace(change, adam=self.lr)) if self.lr else None
        # without a figure: it is no rate for the optimizer that the run has
        return way if own and self.helps(self.way("", own)) else replace(way, cause=rate)

    def helpful(self, ways: list[Way]) -> list[Way]:
        """Those that learn what the run did not, and about as well as the best of them."""
        good = [w for w in ways if self.helps(w)]
        rates = [w for w in good if w.rate is not None]
        if rates:  # of the optimizer that the run has
            good = [w for w in good if w.rate is not None or not w.cause.startswith("rate-")]
        elif adams := [w for w in good if w.cause == "optimizer-choice"]:
            as_good = [w for w in ways if w.rate is not None and w.left <= AS_GOOD * adams[0].left]
            # chance decides which of the two lies just below the limit
            good += [w for w in as_good if w.judged.clearly_better(self.run)]
        # Where a lower rate will do, another optimizer is the larger change.
        if any(w.cause == "rate-too-high" and w.left <= LEARNED for w in good):
            good = [w for w in good if w.cause != "optimizer-choice"]
        best = min((w.left for w in good), default=0.0)
        near = [w for w in good if w.left <= NEAR * best + NEARLY]
        if any(w.rate is not None for w in near):
            return [w for w in near if w.cause != "optimizer-choice"]
        # what halves the error is named, whatever else removes more of it
        return [*near, *rates] if any(w.cause == "optimizer-choice" for w in near) else near

    # -- all changes together, and each taken back

    def needed(self) -> list[Way]:
        every = self.whole
        each = {lr: self.left(f"all, adam {lr:g}", replace(every, adam=lr)) for lr in ADAM}
        best = min(each, key=lambda lr: each[lr].left)
        if not self.helps(self.way("", each[best])):
            return []
        whole, found = replace(every, adam=best), []
        for cause, without in (
            ("input-out-of-range", replace(whole, scaled=False)),
            ("initialisation", replace(whole, redrawn=False)),
            ("vanishing-gradient", replace(whole, relu=False)),
        ):
            if without != whole:
                remaining = self.left(f"all but {cause}", without)
                if remaining.left > self.limit:
                    found.append(self.way(cause, each[best]))
        if every != Change() and self.left("all, own rate", every).left > self.limit:
            own = [w for w in self.rates(every) if self.helps(w)]
            in_use = self.is_adam and math.isclose(best, self.lr)
            found += own or ([] if in_use else [self.adam(each[best], best, every)])
        return found

    # -- words

    def way(self, cause: str, judged: Judged, value: float = 0.0) -> Way:
        text, remedy = SAYS.get(cause, ("", ""))
        name = self.subject.optimizer.__name__
        text, remedy = (words.format(value=value, optimizer=name) for words in (text, remedy))
        return Way(cause, text, remedy, judged, value if cause.startswith("rate-") else None)

    def named(self, ways: list[Way]) -> list[Control]:
        order = list(ORDER)
        if not far_input(self.subject):  # columns that differ in size: a rate is the smaller change
            order.append(order.pop(order.index("input-out-of-range")))
        ranked = sorted(ways, key=lambda w: order.index(w.cause))[:2]
        found = []
        for n, way in enumerate(ranked):
            text = (
                f"{way.text} {_percent(way.left)} of the best constant predictor's error is left;"
                f" the run left {_percent(self.run_left)} after {self.subject.steps:,} steps, the"
                f" same again {_percent(self.again)} after {self.steps:,}"
            )
            verdict = "warning" if n else "failed"
            learned = self.subject.learned or self.run_left <= A_LITTLE
            soon = way.cause in SOONER and self.run_left <= A_FOURTH
            if (way.cause == "too-few-epochs" and learned) or soon:
                verdict = "note"  # of a loop of one's own nobody said how long it should be
            figures = {"left": way.left, "run": self.run_left, "again": self.again}
            figures |= {} if way.rate is None else {"rate": way.rate}
            found.append(
                Control(f"trial {way.cause}", verdict, text, way.remedy, figures, way.cause)
            )
        return found

    def summary(self) -> Control:
        text = f"{len(self.figures) - 1} short trainings of {self.steps} steps"
        return Control(NAME, "ok", text, figures=self.figures)


def _middle(each: dict[float, Judged]) -> float:
    """The rate with as many as good ones below as above it: those at the ends are the next to
    fail."""
    best = min(judged.left for judged in each.values())
    good = sorted(f for f, judged in each.items() if judged.left <= NEAR * best + NEARLY)
    middle = good[(len(good) - 1) // 2 : len(good) // 2 + 1]
    return min(middle, key=lambda f: each[f].left)


def _percent(share: float) -> str:
    if not math.isfinite(share):
        return "no number"
    # nothing is left of nothing: a small rest is not 0
    return f"{share:.0%}" if share >= 0.095 or share == 0 else f"{100 * share:.1g} %"


ORDER = (
    *("rate-cannot-reach", "input-out-of-range", "initialisation", "too-few-epochs"),
    *("rate-too-high", "rate-too-low", "vanishing-gradient", "optimizer-choice", "batch-size"),
)
LR = "{optimizer}(lr={value})"
SAYS = {
    "input-out-of-range": (
        "with each input column at mean 0 and sd 1",
        "x = (x - x.mean(0)) / x.std(0).clamp_min(1e-6)",
    ),
    "initialisation": (
        "with weights as torch's layers start",
        "nn.init.kaiming_normal_(layer.weight); or leave the start to torch's layers",
    ),
    "vanishing-gradient": (
        "with relu in the place of squashing activations",
        "nn.ReLU() (between the layers); or a norm before each activation",
    ),
    "rate-cannot-reach": (
        "with the learning rate kept at {value}",
        "a schedule that falls later: scheduler.step() once an epoch, not after each batch",
    ),
    "too-few-epochs": ("trained for longer", "four times as many epochs"),
    "rate-too-high": ("at a learning rate of {value}", LR),
    "rate-too-low": ("at a learning rate of {value}", LR),
    "optimizer-choice": (
        "with Adam at {value}",
        "Adam(lr={value})",
    ),
    "batch-size": ("with batches of {value}", "DataLoader(..., batch_size={value})"),
}
