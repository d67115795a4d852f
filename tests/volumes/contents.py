"""What tests of volumes share: an array to write, and what a reader makes of a file."""

import numpy as np

from famulus.volumes.open import Part, open_volume

SHAPE = (5, 37, 52)  # sides that differ: swapped axes show


def numbers(dtype="uint16", shape=SHAPE, low=0, high=None):
    """Random numbers; whole ones over most of their type unless told otherwise."""
    rng = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    high = min(60_000, int(np.iinfo(dtype).max)) if high is None else high
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)


def voxels(path, **part):
    """All voxels of a volume as it is opened."""
    return content(open_volume(path, part=Part(**part)).volume)


def content(volume):
    out = np.empty(volume.shape, volume.dtype)
    volume.read((0, 0, 0), out)
    return out
