"""How large a batch is worth its price? The gradient noise scale, with advice."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates
from famulus.diagnosis.controls.samples import part_of
from famulus.nets.noise_scale import advice, noise_scale

NAME = "gradient noise"
BATCHES = 8  # of gradients


def gradient_noise(gradients: Sequence[tuple[Tensor, int]], batch: int) -> Control:
    """(gradient, samples it is a mean over) of disjoint small batches at the same weights."""
    if len(gradients) < 2:
        return Control(NAME, "skipped", "a batch is too small to be halved")
    scale, of = noise_scale(gradients), sum(size for _, size in gradients)
    figures = {"noise_scale": scale if math.isfinite(scale) else None, "batch": batch, "of": of}
    return Control(NAME, "ok", f"at the start: {advice(scale, batch)}", figures=figures)


def gradients_of(bench: Bench, count: int) -> Iterator[tuple[Tensor, int]]:
    """Of disjoint small batches at the weights of the start, in train mode."""
    net = bench.net()
    for batch in bench.fed(count):
        samples = len(batch["index"])
        size = max(2, samples // 4)
        for start in range(0, samples - size + 1, size):
            piece = part_of(batch, slice(start, start + size))
            net.model.zero_grad(set_to_none=True)
            net.parts(piece)["total"].backward()
            grads = [p.grad.flatten() for p in net.model.parameters() if p.grad is not None]
            yield torch.cat(grads).clone(), size


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    count = int(min(BATCHES, max(2, limit_s / bench.step_s)))
    yield gradient_noise(list(gradients_of(bench, count)), bench.training.batch)


CHECK = Check(NAME, run, wanted=updates(BATCHES), least=updates(2))
