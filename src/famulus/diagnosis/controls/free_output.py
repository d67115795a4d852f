"""What would the loss be if the net could answer anything (K2, K19, K20)? No training.

The net's output is set free and moved down the loss by itself. Where even that gets nowhere, no
net will: an activation that is applied twice, shapes that broadcast, a loss without a bottom, or
targets that are other ones at every look. It takes milliseconds and needs no threshold on losses
of trained nets.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.calls import NOT_ONCE, Free
from famulus.diagnosis.graph import LINKS, name, walk

NAME = "free output"
STEPS = 150
RATES = (0.5, 0.05)  # Adam's, falling to 0: logits have far to go, grey values must not overshoot
NOTHING = 0.05  # share of the loss of one answer for all: all of it is gone, or none
LOST = 0.25  # share of the way down that must be out of reach before anything is said
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "softmax": lambda t: t.softmax(-1)}
SKIPPED = ("View", "Reshape", "Squeeze", "Unsqueeze", "Clone", "Copy", "Slice", "Select", "Alias")

Tensors = Sequence[Tensor]
Whole = Callable[[Tensors], Tensor]  # outputs
Loss = Callable[[Tensors, slice], Tensor]  # outputs, of which samples


def activation_of(output: Tensor) -> str | None:
    """The activation that made `output`, by its place in the graph: sigmoid, tanh, softmax."""
    node = output.grad_fn
    while node is not None:
        kind = node.name()
        for known in ACTIVATIONS:
            if kind.lower().startswith(f"{known}backward"):
                return known
        if not any(word in kind for word in SKIPPED):
            return None
        node = node.next_functions[0][0] if node.next_functions else None
    return None


def slopes(value: Tensor, leaves: Tensors) -> tuple[Tensor | None, ...]:
    """Of these leaves alone; None where the value does not depend on one."""
    return torch.autograd.grad(value, list(leaves), allow_unused=True)


def descend(start: Tensors, loss: Whole, steps: int = STEPS) -> tuple[float, list[Tensor]]:
    """(least loss on the way, the outputs at its end) with free `start`: the better of RATES."""
    return min((_descend(start, loss, steps, rate) for rate in RATES), key=lambda row: row[0])


def _descend(start: Tensors, loss: Whole, steps: int, rate: float) -> tuple[float, list[Tensor]]:
    free = [t.detach().clone().requires_grad_() for t in start]
    optimizer = torch.optim.Adam(free, lr=rate)
    least = math.inf
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * ((1 + math.cos(math.pi * step / steps)) / 2 + 1e-3)
        value = loss(free)
        now = float(value.detach())
        least = min(least, now)
        if not value.requires_grad or not math.isfinite(now):
            break
        # no `backward`: a loss may have weights of its own, whose gradients are its
        for leaf, slope in zip(free, slopes(value, free), strict=True):
            leaf.grad = slope
        optimizer.step()
    return least, [t.detach() for t in free]


def free_output(outputs: Tensors, loss: Loss, samples: int) -> Control:
    """`outputs`: the untrained net's, batch first, still in its graph; `loss` takes free ones.

    The loss must draw the same numbers at every call.
    """
    if not outputs:
        return Control(NAME, "skipped", NOT_ONCE)
    whole = slice(0, samples)
    start = [t.detach() for t in outputs]
    first = loss(_leaves(start), whole)
    if not first.requires_grad:
        text = "the loss does not depend on what the net answers"
        remedy = "compute the loss from the net's output, without detach, item or numpy on the way"
        return Control(NAME, "failed", text, remedy, {"first": float(first)}, "weights-do-not-move")
    began, last = float(first.detach()), [activation_of(t) for t in outputs]
    try:
        least, best = descend(start, lambda free: loss(free, whole))
    except (RuntimeError, ValueError) as error:  # probabilities below 0: the loss says so itself
        if not any(last):
            why = (str(error).splitlines() or [type(error).__name__])[0]
            return Control(NAME, "skipped", f"the loss takes no free answers: {why}")
        bound, _ = descend(_before(start, last), lambda free: loss(_activated(free, last), whole))
        text = f"answers set free behind their activation: loss {began:.4g} → {bound:.4g}"
        return Control(NAME, "ok", text, figures={"first": began, "least": bound})
    figures: dict[str, Any] = {"first": began, "least": least}
    if _bottomless(best, lambda free: loss(free, whole)):
        text = f"the loss falls without end as the answers grow: {least:.4g} and on"
        remedy = "targets outside the range that the loss assumes: BCE takes 0..1, no class numbers"
        return Control(NAME, "failed", text, remedy, figures, "loss-unbounded")
    if any(last):
        bound, _ = descend(_before(start, last), lambda free: loss(_activated(free, last), whole))
        figures |= {"bound": bound, "activation": next(a for a in last if a)}
        if bound - least > LOST * max(began - least, 1e-12):
            text = f"the net ends in a {figures['activation']}, behind which the loss can't fall"
            text += f" below {bound:.4g}; without it {least:.4g}"
            twice = _has_activation(loss(_leaves(start), whole))
            remedy = "an output without activation, or targets within its reach"
            if twice:
                remedy = "the loss has an activation of its own: leave out the net's last one"
            cause = "activation-twice" if twice else "output-activation"
            return Control(NAME, "failed", text, remedy, figures, cause)
    if _narrow(start) and samples >= 4 and _crossed(start, loss, figures):
        text = f"a sample alone can be answered with a loss of {figures['alone']:.4g}, several"
        text += f" together with no less than {figures['together']:.4g}"
        remedy = "output and target have other shapes, as (B, 1) and (B,), and every answer is"
        remedy += " compared with every target: give both the same shape"
        return Control(NAME, "failed", text, remedy, figures, "shapes-broadcast")
    text = f"answers set free: loss {began:.4g} → {least:.4g}"
    return Control(NAME, "ok", text, figures=figures)


def _leaves(start: Tensors) -> list[Tensor]:
    return [t.clone().requires_grad_() for t in start]


def _has_activation(loss: Tensor) -> bool:
    """Does a loss of free outputs make probabilities of them by itself?"""
    return any(name(node) in LINKS for node in walk(loss.grad_fn))


def _activated(free: Tensors, last: Sequence[str | None]) -> list[Tensor]:
    return [ACTIVATIONS[a](t) if a else t for t, a in zip(free, last, strict=True)]


def _before(start: Tensors, last: Sequence[str | None]) -> list[Tensor]:
    """Where the net's answers come from: near 0, ahead of an activation."""
    return [torch.zeros_like(t) if a else t for t, a in zip(start, last, strict=True)]


def _bottomless(at: Tensors, loss: Whole) -> bool:
    """Whether the loss goes on down a straight line as far as one looks."""
    free = [t.clone().requires_grad_() for t in at]
    value = loss(free)
    if not math.isfinite(float(value.detach())):
        return float(value.detach()) == -math.inf
    slope = slopes(value, free)
    most = max((float(g.abs().max()) for g in slope if g is not None), default=0.0)
    if most == 0 or not math.isfinite(most):
        return False
    far = []
    for times in (100.0, 1000.0):
        ends = [t if g is None else t - times * g / most for t, g in zip(at, slope, strict=True)]
        far.append(float(loss(ends).detach()))
    # Ten times as far is ten times as deep on a straight line, hardly deeper on a logarithm.
    return far[0] < 0 and far[1] < 5 * far[0]


def _narrow(outputs: Tensors) -> bool:
    """Whether an output has an axis of one, or none but the batch: what broadcasts unseen."""
    return any(t.ndim == 1 or 1 in t.shape[1:] for t in outputs)


def _crossed(start: Tensors, loss: Loss, figures: dict) -> bool:
    """Whether four samples together can't be answered better than by one answer for all."""
    four = slice(0, 4)
    together, _ = descend([t[four] for t in start], lambda free: loss(free, four))

    def same(free: Tensors) -> Tensor:
        return loss([f.expand_as(t[four]) for f, t in zip(free, start, strict=True)], four)

    constant, _ = descend([t[:1] for t in start], same)

    def by_itself(one: slice) -> float:
        return descend([t[one] for t in start], lambda free: loss(free, one))[0]

    alone = [by_itself(slice(i, i + 1)) for i in range(4)]
    figures |= {"alone": sum(alone) / 4, "together": together, "one_for_all": constant}
    comes_down = figures["alone"] <= NOTHING * constant  # else it tells nothing
    return comes_down and together > (1 - NOTHING) * constant


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    bench = bench.on_cpu()
    free = Free(bench.net(), bench.frozen)
    yield free_output(free.outputs, free.loss, free.samples)


CHECK = Check(NAME, run, wanted=lambda bench: 1.0 + 3 * bench.small_s)
