"""Several sources behind one another as one, so that validation may see more than one fragment.

Shapes: B samples, P parts.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Source


class Joined(Source):
    """The samples of `parts` in their order; a batch also says which part each is of: `fragment`.

    The parts may differ in what they gather, not in how it is finished: `finish` is the first's.
    Raises ValueError without a part.
    """

    fingerprint: str
    slow: bool

    def __init__(self, parts: Iterable[Source]) -> None:
        self.parts = tuple(parts)
        if not self.parts:
            raise ValueError("expected at least one source to join, received none")
        self.starts = np.cumsum([0, *map(len, self.parts)])  # P + 1
        self.slow = any(part.slow for part in self.parts)
        whole = hashlib.sha256()
        for part in self.parts:
            whole.update(f"{len(part)} {part.fingerprint}\n".encode())
        self.fingerprint = f"joined-{whole.hexdigest()[:16]}"

    def __len__(self) -> int:
        return int(self.starts[-1])

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """One gather a part that is met. Raises IndexError for a sample that there is not."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"expected indices from 0 to {len(self) - 1}, received {indices}")
        part_B = np.searchsorted(self.starts, indices, side="right") - 1
        # stable: samples of a part keep their order
        order_B = np.argsort(part_B, kind="stable")  # part by part
        pieces = []
        for part in np.unique(part_B):
            rows = order_B[part_B[order_B] == part]
            pieces.append(self.parts[part].gather(indices[rows] - self.starts[part], seeds[rows]))
        batch = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
        if (np.diff(part_B) < 0).any():  # not part by part as asked for, as validation does
            back_B = torch.from_numpy(np.argsort(order_B))
            batch = {name: value[back_B] for name, value in batch.items()}
        return batch | {"fragment": torch.from_numpy(part_B.astype(np.int64))}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return self.parts[0].finish(batch, seeds)  # one scale for all parts

    def to(self, device: torch.device) -> "Joined":
        return Joined(part.to(device) for part in self.parts)
