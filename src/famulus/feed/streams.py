"""Random streams from integers alone: the same numbers on every machine, worker and version.

Source of the mixer: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"
(SplitMix64), doi:10.1145/2660193.2660195.
"""

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_A, _B = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SAMPLES, _ORDER = 0x53414D50, 0x4F524445  # keep the streams of seeds and of orders apart


def _mix(x: int) -> int:
    """One SplitMix64 output from the state `x`: 64 bits."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _A) & _MASK
    x = ((x ^ (x >> 27)) * _B) & _MASK
    return x ^ (x >> 31)


def _mix_array(x: np.ndarray) -> np.ndarray:
    """`_mix` of each uint64 in `x`; array arithmetic wraps without a warning."""
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_A)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_B)
    return x ^ (x >> np.uint64(31))


def _fold(ints: tuple[int, ...]) -> int:
    """One 64 bit state from any number of integers; their order and their number matter."""
    # the count first: (1,) and (1, 0) are different streams
    state = len(ints)
    for value in ints:
        state = _mix(state ^ (int(value) & _MASK))
    return state


def stream_seed(*ints: int) -> int:
    """A seed in 0 .. 2^63 - 1 for a torch or NumPy generator, from any number of integers."""
    # 63 bits fit the signed integers of every generator
    return _fold(ints) >> 1


def sample_seeds(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """One uint64 for each sample, a function of (seed, epoch, index) and of nothing else."""
    # a tag first: sample 5 of epoch 1 must not share numbers with place 5 of an order
    state = np.uint64(_fold((_SAMPLES, seed, epoch)))
    return _mix_array(state ^ _mix_array(np.asarray(indices).astype(np.uint64)))


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """A permutation of 0 .. n-1 as int64: the order of one pass over n samples.

    The sort of hashed keys, so that it outlives changes in a library's shuffling.
    """
    state = np.uint64(_fold((_ORDER, seed, epoch)))
    keys = _mix_array(state ^ _mix_array(np.arange(n, dtype=np.uint64)))
    # Stable: equal keys keep one order whatever the library's sort does.
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)
