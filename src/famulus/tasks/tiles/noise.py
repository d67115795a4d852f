"""Pictures of pure noise: the control that nothing can compress.

Each pixel is N(mean, sd) clamped to 0..1 and rounded to a byte. Pictures are functions of (seed,
split, block), in blocks of 256, so that a larger set begins with the smaller one. The best constant
scores the mean absolute deviation about the median: .3156 at mean .5, sd .5 (`best_constant_l1`).
"""

import hashlib
import json
import math
from functools import partial

import numpy as np

from famulus.config.errors import ConfigError
from famulus.feed.source import Splits
from famulus.feed.streams import stream_seed
from famulus.images.image_source import Choice, ImageSource
from famulus.images.parts import ArrayPart
from famulus.images.picture import recipe

BLOCK = 256
MAX_BYTES = 8 << 30


def best_constant_l1(mean: float = 0.5, sd: float = 0.5) -> float:
    """E|x - median| of clamp(N(mean, sd), 0, 1), before rounding; the median is clamp(mean).

    E|x - m| of a clamped variable is the integral over 0..1 of the smaller tail,
    P(x > t) above m and P(x < t) below: for phi, Phi of the normal law,
    integral of Phi(u) du = u Phi(u) + phi(u).
    """
    # clamping keeps order: the median of the clamped is the clamped median
    median = min(max(mean, 0.0), 1.0)

    def tail(t: float) -> float:  # integral of P(x < t) up to t, in units of the variable
        u = (t - mean) / sd
        density = math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        return sd * (u * 0.5 * math.erfc(-u / math.sqrt(2)) + density)

    below = tail(median) - tail(0.0)
    above = tail(2 * mean - median) - tail(2 * mean - 1.0)  # mirrored about the mean
    return below + above


def noise_block(
    block: int, split: int, shape: tuple[int, int, int], mean: float, sd: float, seed: int
) -> np.ndarray:
    """uint8 (256, Y, X, C): the pictures 256 * block and after."""
    # a generator of its own: a block is made without those before it
    random = np.random.Generator(np.random.Philox(stream_seed(seed, split, block)))
    c, y, x = shape
    values = random.standard_normal((BLOCK, y, x, c), dtype=np.float32) * sd + mean
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


def noise_part(
    role: str,
    count: int,
    shape: tuple[int, int, int] = (1, 32, 32),
    mean: float = 0.5,
    sd: float = 0.5,
    seed: int = 0,
) -> ArrayPart:
    """`count` pictures of `shape` C Y X; `role` is train or validation.

    The digest covers the recipe and the first block's bytes, so that a generator that changes
    with a library is seen. Raises ConfigError for impossible or huge sizes.
    """
    if min(count, *shape) < 1 or shape[0] not in (1, 3) or not sd > 0:
        raise ConfigError(
            "data: noise expects a count and sizes of at least 1, 1 or 3 channels and sd > 0, "
            f"received count {count}, shape {shape}, sd {sd}"
        )
    if count * math.prod(shape) > MAX_BYTES:
        raise ConfigError(f"data: noise of {count} x {shape} is more than {MAX_BYTES >> 30} GB")
    make = partial(noise_block, split=role != "train", shape=shape, mean=mean, sd=sd, seed=seed)

    def load() -> np.ndarray:
        images = np.empty((count, *shape[1:], shape[0]), np.uint8)
        for first in range(0, count, BLOCK):
            images[first : first + BLOCK] = make(first // BLOCK)[: count - first]
        return images[..., 0] if shape[0] == 1 else images

    recipe = json.dumps(["noise", role, count, shape, mean, sd, seed])
    digest = hashlib.sha256(recipe.encode() + make(0)[:count].tobytes()).hexdigest()
    # padded: names sort as their numbers do
    names = [f"{role}/{i:05d}" for i in range(count)]
    return ArrayPart(f"noise/{role}", digest, names, None, None, load)


def open_noise(
    size: int | tuple[int, int] = 32,
    channels: int = 1,
    train: int = 60_000,
    validation: int = 10_000,
    mean: float = 0.5,
    sd: float = 0.5,
    seed: int = 0,
) -> Splits:
    """The journal's noise set, or one of any size: batches as from `open_images`."""
    y, x = (size, size) if isinstance(size, int) else size
    how, whole = recipe(None, "nearest", None, "stretch"), Choice(None, seed, "data.subset")
    parts = (
        noise_part(role, count, (channels, y, x), mean, sd, seed)
        for role, count in (("train", train), ("validation", validation))
    )
    return Splits(*(ImageSource(part, how, whole) for part in parts))
