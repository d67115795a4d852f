"""Exact sampling from any prior, place by place, with its cache.

Shapes: B pictures, T places in raster order, H codes a place, K codes.
Every picture has its own stream of uniform numbers, from (seed, its number), so that a picture
does not depend on which others are drawn beside it, nor on the device.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from famulus.tasks.codes.prior_net import PriorNet

TEMPERATURES = 1e-6, 1e6  # beyond them logits overflow in float32, or all codes are alike
PROBED = 64  # places after which the whole is forecast


class TooSlow(Exception):
    """Sampling would take, or took, longer than it may."""

    def __init__(self, forecast_s: float, limit_s: float) -> None:
        super().__init__(f"forecast {forecast_s:.2g} s, limit {limit_s:.2g} s")
        self.forecast_s = forecast_s


@dataclass(frozen=True)
class Sampling:
    """How to draw; stored beside whatever was drawn. `temperature` 0 takes the likeliest."""

    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        for name in ("seed", "top_k", "temperature", "top_p"):
            value, whole = getattr(self, name), name in ("seed", "top_k")
            sound = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not sound and not (value is None and name.startswith("top")):
                kind = "whole number" if whole else "number"
                raise ValueError(f"expected {name} as a {kind}, received {value!r}")
        least, most = TEMPERATURES
        if self.temperature != 0 and not least <= self.temperature <= most:  # not a number, too
            raise ValueError(
                f"expected temperature 0, or {least:g} to {most:g}, received {self.temperature}"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"expected top_k >= 1, received {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"expected 0 < top_p <= 1, received {self.top_p}")

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self)


def probabilities(logits_BK: Tensor, how: Sampling) -> Tensor:
    """softmax(logits / temperature), cut to the top k codes, then to the fewest with share p."""
    if how.temperature == 0:
        return torch.zeros_like(logits_BK).scatter_(1, logits_BK.argmax(1, keepdim=True), 1.0)
    logits_BK = logits_BK / how.temperature
    if how.top_k is not None and how.top_k < logits_BK.shape[1]:
        # by rank, not by value: ties must not let more than k through
        worst = logits_BK.sort(dim=1, descending=True, stable=True).indices[:, how.top_k :]
        logits_BK = logits_BK.scatter(1, worst, -torch.inf)
    p_BK = logits_BK.softmax(1)
    if how.top_p is not None and how.top_p < 1:
        ranked, order = p_BK.sort(dim=1, descending=True, stable=True)
        beyond = ranked.cumsum(1) - ranked >= how.top_p  # the mass before it already suffices
        ranked = ranked.masked_fill(beyond, 0.0)
        p_BK = torch.zeros_like(p_BK).scatter_(1, order, ranked)
        p_BK = p_BK / p_BK.sum(1, keepdim=True)
    return p_BK


def draw(p_BK: Tensor, uniform_B: Tensor) -> Tensor:
    """The code whose stretch of the cumulative sum holds u in (0, 1]: int64, B.

    The first sum that reaches u has grown there, so a code of probability 0 is never drawn.
    """
    # In float64: thousands of shares added in float32 end beside 1.
    cumulative = p_BK.double().cumsum(1)
    u = uniform_B[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, u)[:, 0]


def uniforms(seed: int, first: int, pictures: int, numbers: int) -> Tensor:
    """float64 in (0, 1], shape (pictures, numbers); row i belongs to picture `first` + i."""
    rows = []
    for i in range(first, first + pictures):
        # Drawn on the CPU: each device's generator has other numbers.
        stream = torch.Generator().manual_seed((seed * 1_000_003 + i) % 2**63)
        # 1 - u lies in (0, 1]: at 0 a code without probability could be drawn
        rows.append(1 - torch.rand(numbers, generator=stream, dtype=torch.float64))
    return torch.stack(rows)


@contextmanager
def few_threads(device: torch.device, pictures: int) -> Iterator[None]:
    """One thread for small batches on the CPU: the sums of one place are too short to share."""
    before = torch.get_num_threads()
    if device.type == "cpu" and pictures <= 32:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def sample(
    prior: PriorNet,
    pictures: int,
    how: Sampling | None = None,
    label_B: Tensor | None = None,
    given: Tensor | None = None,
    first: int = 0,
    progress: Callable[[int, int], object] | None = None,
    limit_s: float | None = None,
) -> Tensor:
    """Codes B...H from the prior, in eval mode and float32.

    `given` (B...H): codes to keep, -1 where one is to be drawn, K where there is padding.
    `first`: number of the first picture in its series. `progress(places done, places)`.
    Raises ValueError if `given` has another shape, TooSlow if after a first stretch of places the
    whole is forecast to take more than `limit_s` seconds, or as soon as it has taken them.
    """
    start_s = time.monotonic()
    how = how or Sampling()
    device = next(prior.parameters()).device
    shape = (pictures, *prior.grid, prior.per_place)
    if given is not None and tuple(given.shape) != shape:
        raise ValueError(f"expected given codes of shape {shape}, received {tuple(given.shape)}")
    u_BTH = uniforms(how.seed, first, pictures, prior.places * prior.per_place)
    u_BTH = u_BTH.view(pictures, prior.places, prior.per_place).to(device)
    given_BTH = None if given is None else given.reshape(pictures, prior.places, -1).to(device)
    # asked once: places that all pictures are given need no draw
    known = None if given_BTH is None else (given_BTH >= 0).flatten(2).all(0).tolist()
    codes_BTH = torch.empty(
        pictures, prior.places, prior.per_place, dtype=torch.int64, device=device
    )
    training = prior.training
    prior.eval()
    try:
        with torch.autocast(device_type=device.type, enabled=False), few_threads(device, pictures):
            state = prior.start(pictures, label_B, device)
            for place in range(prior.places):
                feature = prior.advance(state, place)
                for h in range(prior.per_place):
                    if known is not None and known[place][h]:
                        code = given_BTH[:, place, h]
                    else:
                        code = draw(
                            probabilities(prior.head.one(feature, h), how), u_BTH[:, place, h]
                        )
                        if given_BTH is not None:
                            kept = given_BTH[:, place, h]
                            code = torch.where(kept >= 0, kept, code)
                    codes_BTH[:, place, h] = code
                    if h + 1 < prior.per_place:
                        feature = prior.head.tell(feature, h, code)
                prior.put(state, place, codes_BTH[:, place])
                if progress is not None:
                    progress(place + 1, prior.places)
                if limit_s is not None and place + 1 >= min(prior.places, PROBED):
                    taken_s = time.monotonic() - start_s
                    whole_s = taken_s * prior.places / (place + 1)
                    # a forecast once; later only what it has really taken
                    if taken_s > limit_s or (place + 1 <= PROBED and whole_s > limit_s):
                        raise TooSlow(whole_s, limit_s)
    finally:
        prior.train(training)
    return codes_BTH.view(shape)


def forecast_s(prior: PriorNet, pictures: int, label_B: Tensor | None = None) -> float:
    """Seconds that `sample` will take for so many pictures, from its first places."""
    try:
        start_s = time.monotonic()
        sample(prior, pictures, label_B=label_B, limit_s=0.0)
        return time.monotonic() - start_s  # of a clock too coarse to see it
    except TooSlow as slow:
        return slow.forecast_s
