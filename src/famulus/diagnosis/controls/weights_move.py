"""Does every weight move, bit for bit, and nothing that is frozen (K4, K5)?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates
from famulus.diagnosis.remedy import NOBODY, Change, Owner, advise, learning_rate, significant

NAME = "weights move"
STEPS = 3  # after which every weight must have moved
FAINT = 1e-9  # largest entry of a gradient below which rounding may take a step away
LIKELY = 1e-3  # a learning rate that moves weights
MOST = 0.5  # share of the trained numbers that a gradient of exactly 0 may leave where they are


@dataclass(frozen=True)
class Weight:
    """One parameter after a few steps."""

    name: str
    trained: bool  # requires a gradient
    held: bool  # the optimizer has it
    numbers: int
    touched: bool  # a gradient has arrived
    reached: bool  # one other than 0
    moved: bool  # bit for bit another one
    largest: float = 1.0  # entry of the last gradient, in size


def moves(
    weights: Iterable[Weight],
    drifted: Iterable[str],
    steps: int,
    exempt: str = "",
    owner: Owner = NOBODY,
) -> Control:
    """`drifted`: buffers of frozen modules that moved all the same (running statistics).

    `exempt`: why parts without a gradient are no fault (layers that join later).
    """
    weights, drifted = list(weights), list(drifted)
    trained = [w for w in weights if w.trained]
    still = [w for w in trained if not w.moved]
    frozen, names = len(weights) - len(trained), [w.name for w in still]
    figures = {"trained": len(trained), "frozen": frozen, "still": names[:8]}
    figures |= {"drifted": drifted[:8], "steps": steps}
    if drifted:
        text = f"running statistics of frozen layers move: {_named(drifted)}"
        remedy = "put what is frozen into eval mode: requires_grad=False alone leaves batch norm's"
        remedy += " statistics moving"
        return Control(NAME, "failed", text, remedy, figures, "frozen-statistics-move")
    lost = [w for w in still if w.reached and not w.held]
    unmoved = [w for w in still if w.reached and w.held]
    unreached = _whole_modules([w for w in still if not w.touched], weights)
    silent = [w for w in still if w.touched and not w.reached]
    if sum(w.numbers for w in silent) > MOST * sum(w.numbers for w in trained):
        unreached += [w.name for w in silent]
    faint = [w for w in unmoved if w.largest < FAINT]
    if faint and len(faint) == len(unmoved) and not lost:
        text = f"the gradient of {_named([w.name for w in faint])} is at most"
        text += f" {max(w.largest for w in faint):.2g}: too small to move a weight"
        remedy = "a norm, residual connections, fewer layers, or another activation or start"
        return Control(NAME, "failed", text, remedy, figures, "vanishing-gradient")
    if lost or unmoved or (unreached and not exempt):
        changes: tuple[Change, ...] = ()
        if lost:
            text, remedy = "the optimizer does not hold", "param_groups must list every parameter"
            names = [w.name for w in lost]
        elif unmoved:
            rate = float(owner.value("training.optimizer.lr", 0.0))
            higher = advise(owner, learning_rate(significant(max(10 * rate, LIKELY))))
            text = "a gradient arrives, but nothing moves"
            remedy, changes = higher.text, higher.changes
            names = [w.name for w in unmoved]
        else:
            text = "no gradient, or one of exactly 0, reaches"
            remedy = "call the module, without detach or no_grad on the way, or freeze it openly"
            names = unreached
        text += f": {_named(names)} ({len(names)} of {len(trained)}), in {steps} steps"
        return Control(NAME, "failed", text, remedy, figures, "weights-do-not-move", changes)
    text = f"{len(trained) - len(still)} of {len(trained)} trained tensors moved in {steps} steps"
    text += f", {frozen} frozen by setting stood still" if frozen else ""
    text += f"; the others: {exempt}" if still and exempt else ""
    if silent:  # a layer for labels where there are none, units that are off for these samples
        text += f"; a gradient of exactly 0 reaches {_named([w.name for w in silent])}"
    return Control(NAME, "ok", text, figures=figures)


def _whole_modules(still: list[Weight], weights: list[Weight]) -> list[str]:
    """Of tensors that got no gradient, those whose module got none at all.

    A single one (a momentum that its first step never uses) is a formula's business.
    """
    alive = {w.name.rpartition(".")[0] for w in weights if w.touched}
    return [w.name for w in still if w.name.rpartition(".")[0] not in alive]


def _named(names: list[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def weights_after(bench: Bench) -> tuple[list[Weight], list[str]]:
    """A few steps: weights, and buffers of frozen modules that moved."""
    net = bench.net()
    before = {n: p.detach().clone() for n, p in net.model.named_parameters()}
    buffers = {n: b.detach().clone() for n, b in net.model.named_buffers()}
    held = {id(p) for group in net.optimizer.param_groups for p in group["params"]}
    largest: dict[str, float] = {}  # of those that a gradient has touched
    reached: set[str] = set()
    for number, batch in enumerate(bench.fed(STEPS)):
        net.step(batch, number)
        for name, p in net.model.named_parameters():
            if p.grad is not None:
                largest[name] = float(p.grad.abs().max())
                if bool((p.grad != 0).any()):
                    reached.add(name)
    weights = []
    for n, p in net.model.named_parameters():
        met = n in largest, n in reached, not torch.equal(p, before[n]), largest.get(n, 0.0)
        weights.append(Weight(n, p.requires_grad, id(p) in held, p.numel(), *met))
    frozen = {
        name
        for name, module in net.model.named_modules()
        if (own := list(module.parameters(recurse=False))) and not any(p.requires_grad for p in own)
    }
    drifted = [
        n
        for n, b in net.model.named_buffers()
        if n.rpartition(".")[0] in frozen and not torch.equal(b, buffers[n])
    ]
    return weights, drifted


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    exempt = f"{bench.changes}: they join later" if bench.changes else ""
    yield moves(*weights_after(bench), STEPS, exempt, bench.owner)


CHECK = Check(NAME, run, wanted=updates(STEPS), least=updates(STEPS))
