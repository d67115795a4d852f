"""The order of the training stream.

The stream is the passes over the data, one behind the other: pass e is `permutation(seed, e, n)`.
A position is a number of inputs. A batch takes the next positions across the border of a pass, so
it is always full, and a run may go on with another batch size at the very next sample.
"""

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.streams import permutation, sample_seeds


class Order:
    """The stream over `n` samples; remembers the two passes that a batch may touch."""

    def __init__(self, seed: int, n: int) -> None:
        if n < 1:
            raise DataError(f"training data: expected at least 1 sample, received {n}")
        self.seed, self.n = seed, n
        self._passes: dict[int, np.ndarray] = {}

    def _pass(self, epoch: int) -> np.ndarray:
        if epoch not in self._passes:
            # Oldest out; a copy, so that a thread that reads the old one is not disturbed.
            recent = dict(sorted(self._passes.items())[-1:])
            self._passes = {**recent, epoch: permutation(self.seed, epoch, self.n)}
        return self._passes[epoch]

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(indices int64, seeds uint64) at the positions start .. start + count - 1, in inputs."""
        indices, seeds = [], []
        while count > 0:
            epoch, offset = divmod(start, self.n)
            piece = self._pass(epoch)[offset : offset + count]
            indices.append(piece)
            # by epoch and sample, not by position: another batch size augments a sample alike
            seeds.append(sample_seeds(self.seed, epoch, piece))
            start, count = start + len(piece), count - len(piece)
        if len(indices) == 1:
            # A copy: the pass is remembered, and whoever gets a batch may write into it.
            return indices[0].copy(), seeds[0]
        return np.concatenate(indices), np.concatenate(seeds)
