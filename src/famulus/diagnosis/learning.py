"""Has a net learned anything of its input? One judge for the doctor, the pages and expectations.

It looks at every score that has a baseline which needs no input (the best constant predictor,
chance, the zero image), each held against the strongest of them. Rivals (raw-pixel kNN, an
iterative solver) and bounds (the entropy of the targets) say how good a net is, not whether it
learned. Of a run of few steps, or one whose score still falls, nobody says that it learned nothing.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Literal, TypeGuard

from famulus.config.scores import PREFIX, Scores, find, from_json
from famulus.diagnosis.contract import forms, graph, left
from famulus.diagnosis.history import History
from famulus.diagnosis.trend import fallen

Kind = Literal["trivial", "rival", "bound", "start"]
TRIVIAL = re.compile(
    r"\b(constant|chance|base rate|zero|commonest|majority|unigram|uniform|everything)\b"
)
BOUND = re.compile(r"\b(best possible|entropy of the targets)\b")
START = re.compile(r"\binitial loss\b")
EQUAL, CLEAR = 0.02, 0.05  # of a baseline's error: no better up to the one, better from the other
SIGMAS = 3.0  # of a fraction's sampling error, from which it is better than chance
A_LITTLE = 0.15  # of a fraction: nobody calls half as many again nothing, however few were asked
# a map's score is of its many pixels, whatever the number of maps
LEAST = 100  # samples that a fraction is taken to be of
# Adam moves a weight by about its learning rate a step: 16 usual ones are a hundredth at most.
MANY = 100  # steps, from which on a training loss as near to a constant's says so
LOGS = 3  # the last ones of training, that are held against chance
FEW = 16  # steps up to the last score: with fewer, that it is no better says nothing


def kind(means: str) -> Kind:
    """What a baseline of this name is: one that needs no input, a rival, a bound, or a start."""
    if BOUND.search(means):
        return "bound"
    if START.search(means):
        return "start"
    return "trivial" if TRIVIAL.search(means) else "rival"


@dataclass(frozen=True)
class Comparison:
    """A score beside the strongest baseline that needs no input.

    gain: share of the baseline's error that is gone (of a fraction: of what it lacks to 1); 0 or
    less is no better. From a gain of `margin` on it is clearly better, up to `noise` it is not.
    score: '' is the error in the last batches, as a share of the baseline's.
    """

    score: str
    value: float
    baseline: str
    level: float
    gain: float
    margin: float = CLEAR
    noise: float = EQUAL
    hits: bool = False  # a share of right answers

    @property
    def name(self) -> str:
        """In a sentence of the doctor's."""
        return f"{PREFIX}{self.score}" if self.score else "the relative error in the last batches"

    @property
    def clear(self) -> bool:
        return self.gain >= self.margin

    @property
    def none(self) -> bool:
        """Is the score no better than the baseline?"""
        return self.gain <= self.noise


@dataclass(frozen=True)
class Learning:
    """`held_out`: of validation, `trained`: of the training batches last logged; `before`: of the
    validation about half way; `steps`: up to the last score, since the start or a growth;
    `fallen`: has the training loss halved?"""

    held_out: tuple[Comparison, ...]
    trained: tuple[Comparison, ...] = ()
    before: tuple[Comparison, ...] = ()
    steps: int | None = None
    fallen: bool = False

    @cached_property
    def verdict(self) -> bool | None:
        """True if any score is clearly better than its baseline, False if none is better at all;
        None where that can't be told, or not yet."""
        if any(c.clear for c in self.held_out):
            return True
        return False if self.none and not self.early else None

    @property
    def none(self) -> bool:
        """Is no score better than its baseline, whether or not it is too early to judge by that?"""
        return bool(self.held_out) and all(c.none for c in self.held_out)

    @property
    def early(self) -> bool:
        """Is it too early to say that nothing is learned?"""
        return self.few or self.rising

    @property
    def few(self) -> bool:
        return self.steps is not None and self.steps < FEW

    @cached_property
    def rising(self) -> bool:
        """Did any score gain in the second half what makes one clearly better than a baseline?"""
        # fewer hits than by chance are no less than nothing
        then = {c.score: max(c.gain, 0.0) if c.hits else c.gain for c in self.before}
        return any(c.gain - then.get(c.score, c.gain) >= c.margin for c in self.held_out)

    def gained(self, share: float) -> bool | None:
        """Is more than `share` of any baseline's error gone? None if that is not so yet and early.

        Without a baseline a training loss that has halved says so; else None.
        """
        if not self.held_out:
            return self.fallen or None
        much = any(c.gain > max(share, c.margin) for c in self.held_out)
        return much or (None if self.early else False)

    @cached_property
    def memorised(self) -> bool:
        """Are training samples predicted better than by a constant, and held-out ones not?"""
        return self.verdict is False and any(c.clear for c in self.trained)

    @property
    def best(self) -> Comparison | None:
        """The score that is farthest from its baseline."""
        return max(self.held_out, key=lambda c: c.gain / c.margin, default=None)


def learning(
    scores: Mapping[str, float],
    floors: Iterable[Mapping[str, Any]],
    declared: Scores,
    samples: int | None = None,
    trained: Mapping[str, float] | None = None,
    before: Mapping[str, float] | None = None,
    steps: int | None = None,
) -> Learning:
    """`scores` and `before` (half way) with or without `val/`; `floors` as events tell them;
    `samples`: in validation."""
    levels: dict[str, list[tuple[float, str]]] = {}
    for floor in floors:
        if kind(str(floor.get("means"))) == "trivial" and _finite(floor.get("value")):
            name = str(floor.get("score")).removeprefix(PREFIX)
            levels.setdefault(name, []).append((float(floor["value"]), str(floor["means"])))
    now, then = (
        {name.removeprefix(PREFIX): value for name, value in row.items()}
        for row in (scores, before or {})
    )
    batches = dict(trained or {})
    if "total" in batches:
        batches["loss"] = batches.pop("total")
    return Learning(
        _comparisons(now, levels, declared, samples),
        _comparisons(batches, levels, declared, None),
        _comparisons(then, levels, declared, samples),
        steps,
    )


def phase(steps: Sequence[int], marks: Iterable[Mapping[str, Any]]) -> tuple[int, int | None]:
    """Of scores at these steps: how many steps the last one lies behind the start, or behind the
    last layer that joined; and the place of the score half way there, None without one."""
    joined = (int(m["step"]) for m in marks if m.get("what") == "growth")
    start = max((step for step in joined if step < steps[-1]), default=0)
    place = bisect_right(steps, (start + steps[-1]) / 2) - 1
    return steps[-1] - start, place if place >= 0 and steps[place] > start else None


def of_history(history: History) -> Learning:
    """What the last validation and the last log say; of a loop that is not validated, what its
    last batches leave of a constant's error; nothing where optimizers pull it either way."""
    if history.opposed:
        return Learning(())
    trained = history.train[-1]["values"] if history.train else {}
    values = history.val[-1]["values"] if history.val else {}
    samples = history.facts.get("validation_samples")
    declared = from_json(history.facts.get("scores"))
    at = [event["step"] for event in history.val if "step" in event]
    steps, half = phase(at, history.marks) if at else (None, None)
    before = None if half is None else history.val[half]["values"]
    found = learning(values, history.floors, declared, samples, trained, before, steps)
    means, share = "best constant", left(history)
    if share is None and (share := _of_chance(history)) is not None:
        means = "a guess that gives each choice the same share"
    # of few classes in small batches the share of errors is a rough figure, the loss is a fine one
    fine = next((c for c in found.trained if c.score == "loss" and _of_classes(history)), None)
    if not found.held_out and fine is not None and history.train[-1]["step"] >= MANY:
        fine = replace(fine, score="", noise=CLEAR)
        return Learning((fine,), found.trained, steps=history.train[-1]["step"])
    if not found.held_out and share is not None:
        batch = Comparison("", share, means, 1.0, 1 - share)
        logged = history.train[-1].get("step") if history.train else None
        return Learning((batch,), found.trained, steps=logged)
    return found if found.held_out else replace(found, fallen=fallen(history))


def _of_classes(history: History) -> bool:
    return all("accuracy" in form for form in forms(history) if "left" in form)


def _of_chance(history: History) -> float | None:
    """The last training losses, as a share of what a guess among the choices of its cross entropy
    scores; None of another loss."""
    chance = graph(history).get("chance")
    last = [event["values"].get("total") for event in history.train[-LOGS:]]
    known = [value for value in last if _finite(value)]
    return fmean(known) / chance if chance and known and not history.opposed else None


def _comparisons(
    scores: Mapping[str, float],
    levels: Mapping[str, list[tuple[float, str]]],
    declared: Scores,
    samples: int | None,
) -> tuple[Comparison, ...]:
    comparisons = []
    for name, baselines in levels.items():
        value, meant = scores.get(name), find(name, declared)
        if not _finite(value) or meant is None or meant.better is None:
            continue
        higher = meant.better == "higher"
        # the strongest: whoever beats only the weaker of two constants has learned a constant
        level, baseline = (max if higher else min)(baselines)
        if level == 0:  # a share of 0 is no measure
            continue
        fraction = higher and 0 < level < 1 and value <= 1
        # a log density may cross zero, where a share of it means nothing: nats are its own scale
        size = max(abs(level), 1.0) if min(level, value) < 0 else abs(level)
        gain = (value - level if higher else level - value) / (1 - level if fraction else size)
        limits = (CLEAR, EQUAL)
        if fraction:
            error = math.sqrt(level * (1 - level) / max(samples or 0, LEAST))
            some = max(EQUAL, SIGMAS * error), min(error, A_LITTLE * level)
            limits = (some[0] / (1 - level), some[1] / (1 - level))
        comparisons.append(Comparison(name, float(value), baseline, level, gain, *limits, fraction))
    return tuple(comparisons)


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
