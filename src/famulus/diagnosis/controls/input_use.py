"""Does the net use its input (K1, K19)? The same training on zeroed, shuffled and noise input.

Source: the random-label test of Zhang et al. 2017, arXiv 1611.03530, and TheDeepChecker's zeroed
input, here against the true pairs from the same start, not against a limit.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from famulus.diagnosis.controls.bench import LEAST, Bench, Check, Control, Fit
from famulus.diagnosis.controls.calls import calls_of
from famulus.diagnosis.controls.overfit import AHEAD, FACTORS, affordable
from famulus.diagnosis.controls.overfit import STEPS as FITTED
from famulus.diagnosis.controls.samples import part_of
from famulus.diagnosis.remedy import NOBODY, Owner, Step, advise, learning_rate, significant

NAME = "input"
KINDS = ("zeroed", "shuffled", "noise")
STEPS = 60  # of a short training on each kind of input
LITTLE = 0.05  # share of the first loss that must be learned before anything is said
NEEDS = 0.05  # share of what was learned that must be owed to the input
SLOWER = (0.1, 0.01)  # on the rate, where nobody knows a better one
CLEARLY = 0.1  # share of what is learned at a lower rate that must be owed to the input
USED = 0.01  # of the loss, ahead of both zeroed and shuffled input: it is read, if to little gain


@dataclass(frozen=True)
class Learned:
    """Held-out loss before and after a short training, both under the same kind of input."""

    before: float
    after: float
    blind: float  # after, with the input zeroed
    steps: int


def input_use(
    learn: Callable[[str, float], Learned],
    fit: Callable[[str, float], Fit],
    part: str,
    slower: Iterable[float] = SLOWER,
    faster: float | None = None,
    owner: Owner = NOBODY,
) -> Control:
    """`learn(kind, factor)` trains from the same start on "true" pairs or one of KINDS, with
    `factor` on its rate.

    `fit(kind, factor)` as in `overfit`; asked only where held-out samples don't decide. `slower`:
    factors under which a net that has not learned from true pairs may; `faster`: one that promises
    more on the frozen batch.
    """
    own = _judge(learn, fit, part, faster)
    learns = own.figures.get("gained", 0.0) > NEEDS
    return own if learns else _by_rate(own, learn, slower, owner)


def _by_rate(
    own: Control, learn: Callable[[str, float], Learned], slower: Iterable[float], owner: Owner
) -> Control:
    """`own`, unless the same net learns from its input at a lower rate: then it is the rate.

    One that is too high leaves dead and saturated units, which are deaf to any input.
    """
    for factor in slower:
        true, blind = learn("true", factor), learn("zeroed", factor)
        way = true.before - true.after
        if not way > LITTLE * abs(true.before) or blind.after - true.after <= CLEARLY * way:
            continue
        # a net may well answer noise otherwise than zeros, and learn nothing of it
        if learn("shuffled", factor).after - true.after <= CLEARLY * way:
            continue
        figures = {**own.figures, "slower": factor, "at_slower": true.after}
        text = f"{own.text}. At {factor:.2g} times the learning rate the same steps end at"
        text += f" {true.after:.4g}, with zeroed input at {blind.after:.4g}: it is the rate"
        if own.verdict == "skipped":
            return replace(own, text=f"{text} that is to be looked at first", figures=figures)
        rate = owner.value("training.optimizer.lr")
        lower = learning_rate(significant(factor * rate, 1)) if rate else None
        remedy = advise(owner, lower or Step(words=f"{factor:.2g} times the learning rate"))
        verdict = "failed" if own.cause else "warning"
        return Control(NAME, verdict, text, remedy.text, figures, "rate-too-high", remedy.changes)
    return own


def _judge(
    learn: Callable[[str, float], Learned],
    fit: Callable[[str, float], Fit],
    part: str,
    faster: float | None,
) -> Control:
    true = learn("true", 1.0)
    others = {kind: learn(kind, 1.0).after for kind in KINDS}
    best = min((v for v in others.values() if math.isfinite(v)), default=math.inf)
    figures = {"before": true.before, "true": true.after, **others, "steps": true.steps}
    ends = ", ".join(f"{kind} {value:.4g}" for kind, value in others.items())
    text = f"held-out {part} after {true.steps} steps: true pairs {true.after:.4g}, {ends}"
    remedy = "look where the input goes: a variable that is overwritten, a branch without effect"
    if not true.after < true.before + LITTLE * abs(true.before):
        return Control(NAME, "skipped", f"{text}: worse than {true.before:.4g}", "", figures)
    if true.after in (true.blind, others["shuffled"]):
        text += "; other samples' input or none changes nothing, not in the last digit"
        return Control(NAME, "failed", text, remedy, figures, "input-unused")
    learned = max(abs(true.before - true.after), abs(true.before - best))
    learned = max(learned, LITTLE * abs(true.before), 1e-12)
    gained = (best - true.after) / learned
    figures["gained"] = gained
    if gained > NEEDS:
        text += f": {min(gained, 1):.0%} of what was learned needs the input"
        return Control(NAME, "ok", text, figures=figures)
    more = [faster] if faster and faster > FACTORS[0] else []
    for factor in (1.0, FACTORS[0], *more):  # the best constant is learned first: give it time
        frozen, blind = fit("true", factor), fit("zeroed", factor)
        figures |= {"frozen": frozen.last, "frozen_zeroed": blind.last, "factor": factor}
        way = frozen.first - min(frozen.last, blind.last)
        halved = 0 <= frozen.last < blind.last / 2  # where the best constant is nearly right
        if (blind.last - frozen.last) > AHEAD * way > 0 or halved:
            text += f"; one frozen batch {frozen.last:.4g}, with zeroed input {blind.last:.4g}"
            text += f" at {factor:.3g} times the rate:" if factor > 1 else ":"
            text += f" the net can use its input; held out, {true.steps} steps don't show it yet"
            return Control(NAME, "ok", text, figures=figures)
    ahead = min(others["zeroed"], others["shuffled"]) - true.after
    if ahead > USED * abs(true.after):
        text += "; ahead of zeroed and shuffled input, but by too little to tell more"
        return Control(NAME, "skipped", text, "", figures)
    text += f"; one frozen batch {frozen.last:.4g}, with zeroed input {blind.last:.4g}, at"
    text += f" {factor:g} times the rate: as good without the input as with it"
    level = max(abs(frozen.last), abs(blind.last), 1e-12)
    if not way > LITTLE * abs(frozen.first) or abs(frozen.last - blind.last) > AHEAD * level:
        text += ", but what is learned is too little, or too uneven, to tell"
        return Control(NAME, "skipped", text, "", figures)
    return Control(NAME, "failed", text, remedy, figures, "input-unused")


@contextlib.contextmanager
def corrupted(model: nn.Module, kind: str, seed: int) -> Iterator[None]:
    """The model is called with zeros, other samples' inputs, or numbers drawn from all of them.

    `kind`: "true" or one of KINDS. Integers (codes) stay in their range. torch's streams are left
    alone, and so is the batch that the loss sees.
    """
    if kind == "true":
        yield
        return

    def altered(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        generator = torch.Generator().manual_seed(seed)
        batch = next((len(a) for a in args if isinstance(a, Tensor) and a.ndim > 1), 0)
        changed = tuple(_replaced(a, kind, batch, generator) for a in args)
        named = {k: _replaced(v, kind, batch, generator) for k, v in kwargs.items()}
        return changed, named

    handle = model.register_forward_pre_hook(altered, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _replaced(value: Any, kind: str, batch: int, generator: torch.Generator) -> Any:
    """One argument of the model; what has no axis of samples (a kernel) stays."""
    if not isinstance(value, Tensor) or value.ndim < 2 or len(value) != batch:
        return value
    if kind == "zeroed":
        return torch.zeros_like(value)
    if kind == "shuffled":  # by at least one place: no sample keeps its own
        order = torch.randperm(len(value), generator=generator)
        shifted = torch.empty_like(order)
        shifted[order] = order.roll(1)
        return value[shifted.to(value.device)]
    # Noise of the input's own distribution: only its meaning is gone.
    chosen = torch.randint(value.numel(), (value.numel(),), generator=generator)
    return value.flatten()[chosen.to(value.device)].view_as(value)


def learn(bench: Bench, kind: str, steps: int, factor: float) -> Learned:
    net, part = bench.net(factor), bench.part
    before = net.judge(bench.held, kind)[part]
    few = slice(0, len(bench.frozen["index"]))
    for number, batch in enumerate(bench.fed(steps)):
        net.step(batch if bench.quick else part_of(batch, few), number, kind)
    blind = net.judge(bench.held, "zeroed")[part] if kind == "true" else float("nan")
    return Learned(before, net.judge(bench.held, kind)[part], blind, steps)


def _short_s(bench: Bench) -> float:
    """Seconds of an update of a short training."""
    return bench.step_s if bench.quick else min(bench.step_s, bench.small_s)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    # Half of the time is kept for the fits on the frozen batch.
    steps = int(min(STEPS, max(LEAST, limit_s / _short_s(bench) / (1 + len(KINDS)) / 2)))
    fitted = bench.overfit_steps or affordable(bench, limit_s)
    calls = calls_of(bench.net(), bench.frozen)
    if not any(a.ndim > 1 for call in calls for a in call.arguments):
        yield Control(NAME, "skipped", "the loss does not call the net with a batch")
        return
    lr, suggestion = bench.training.optimizer.lr, bench.suggestion
    first = suggestion / lr if suggestion and lr and suggestion < lr / 2 else SLOWER[0]
    yield input_use(
        lambda kind, factor: learn(bench, kind, steps, factor),
        lambda kind, factor: bench.fit(kind, factor, fitted, noisy=True),
        bench.part,
        (first, min(first / 10, SLOWER[1])),
        suggestion / lr if suggestion and lr else None,
        bench.owner,
    )


CHECK = Check(
    NAME,
    run,
    wanted=lambda bench: 4 * STEPS * _short_s(bench) + 3 * FITTED * bench.small_s,
    least=lambda bench: 4 * LEAST * _short_s(bench),
)
