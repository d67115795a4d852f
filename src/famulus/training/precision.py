"""Which arithmetic a run uses: fp32, or bf16 autocast, with or without channels-last.

`auto` measures on the net and batch at hand and keeps what is clearly faster. The choice is made
once for an experiment, stored with its gain, and reused, so that cells stay comparable and a
resumed run computes what the interrupted one would have.
"""

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the number of axes
HOPELESS = 10.0  # times slower than fp32: bf16 where a processor has no instructions for it
WORTH = {"bf16": 1.15, "fp32": 1.05}  # least gain: exactness is worth some, a layout costs none


@dataclass(frozen=True)
class Precision:
    """An arithmetic and what it gained over plain fp32 where it was chosen."""

    name: str  # fp32 | bf16
    channels_last: bool = False
    gain: float | None = None  # times faster than fp32, measured; None: not measured

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        if self.name == "fp32":
            return contextlib.nullcontext()
        # The weight cache lives for one context; each step opens its own.
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def place_model(self, model: nn.Module) -> nn.Module:
        """Channels-last where asked for: kernels of pictures and of volumes, each in its format."""
        if self.channels_last:
            for parameter in model.parameters():
                parameter.data = _placed(parameter.data)
        return model

    def place_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self.channels_last:
            return batch
        return {key: _placed(value) for key, value in batch.items()}

    def json(self) -> dict[str, Any]:
        return asdict(self)


def _placed(tensor: Tensor) -> Tensor:
    """`tensor` with its channels innermost, if it has as many axes as pictures or volumes do."""
    if tensor.ndim not in FORMATS:
        return tensor
    return tensor.contiguous(memory_format=FORMATS[tensor.ndim])


def fixed(name: str) -> Precision:
    """The arithmetic that a person asked for, unmeasured."""
    return Precision(name, channels_last=name == "bf16")


def choose(
    wanted: str,
    model: nn.Module,
    batch: dict[str, Tensor],
    step: Callable[[nn.Module, dict[str, Tensor], Precision], None],
    device: torch.device,
) -> Precision:
    """`wanted` as a Precision; for `auto` the fastest of the candidates, by median of interleaved
    forward and backward passes on a copy of `model`.
    """
    if wanted != "auto":
        return fixed(wanted)
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return Precision("fp32")
    candidates = [Precision("fp32"), Precision("bf16")]
    # a net without convolutions has no use for the layout
    if any(p.ndim in FORMATS for p in model.parameters()):
        candidates += [Precision("fp32", channels_last=True), Precision("bf16", channels_last=True)]
    runs: list[tuple[Precision, nn.Module, Any, list[float]]] = []
    for candidate in candidates:
        twin = candidate.place_model(copy.deepcopy(model))
        runs.append((candidate, twin, candidate.place_batch(batch), []))
    # Interleaved: a machine that slows down meanwhile slows all candidates alike.
    for round_ in range(6):
        for candidate, twin, placed, times in runs:
            start = time.perf_counter()
            step(twin, placed, candidate)
            if device.type == "cuda":
                torch.cuda.synchronize(device)  # or only launches are timed
            times.append(time.perf_counter() - start)
        if round_ == 1:  # twice, as one pass may have been disturbed
            plain = runs[0][3][1]
            runs = [run for run in runs if min(run[3]) <= HOPELESS * plain]
    # Not means: one hiccup of the machine must not choose the arithmetic of a whole experiment.
    # Without the first pass, which warms caches and picks kernels.
    medians = [sorted(times[1:])[len(times[1:]) // 2] for *_, times in runs]
    gains = [medians[0] / median for median in medians]
    pairs = zip(gains, (run[0] for run in runs), strict=True)
    gain, best = max(pairs, key=lambda pair: _worthy(*pair))
    if not _worthy(gain, best):
        return Precision("fp32", gain=1.0)
    return Precision(best.name, best.channels_last, round(gain, 2))


def _worthy(gain: float, candidate: Precision) -> float:
    """The gain if it is worth a change, else 0."""
    return gain if gain >= WORTH[candidate.name] else 0.0
