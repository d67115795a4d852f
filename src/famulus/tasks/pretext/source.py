"""Pictures as pretext questions: the same pictures, composed anew in every epoch, or frozen.

Shapes: B samples, P pictures that a sample needs, C channels, Y X pixels, N slots.
What a sample holds is a function of (seed, epoch, index), or of the index alone when frozen:
worker threads, batch borders and devices change nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from famulus.config.errors import DataError
from famulus.feed.draws import seeds_of
from famulus.feed.streams import sample_seeds
from famulus.images.derived_source import OverPictures
from famulus.images.file_source import FileSource
from famulus.images.image_source import ImageSource
from famulus.images.unit import as_levels, as_unit
from famulus.tasks.pretext.questions import Question, partners

FROZEN = 0x46525A  # seed of samples that never change
ALIKE, SIDE, FLAT = 0.999, 16, 2.0  # correlation of 16x16 thumbnails; grey levels
MOST = 20_000  # pictures compared with each other


class PretextSource(OverPictures):
    """`gather` picks each sample's pictures, `finish` composes the question on the device.

    A batch: `image` BCYX, `target` (int64 B, or float32 BN), and where the question has them
    `sources` BNCYX, `weights` BN, `box` B4; `origin` int64 BP (which pictures), `label` (the class
    of the own picture, never an answer).
    """

    classes: Sequence[str] | None

    def __init__(self, base: ImageSource | FileSource, question: Question, frozen: bool) -> None:
        super().__init__(base)
        self.question, self.frozen = question, frozen
        self.classes = base.classes

    @cached_property
    def fingerprint(self) -> str:
        # the question too: the same pictures asked otherwise are other data
        form = [self.base.fingerprint, asdict(self.question), self.frozen]
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def labels(self) -> np.ndarray | None:
        return self.base.labels

    def _seeds(self, indices: np.ndarray, seeds: np.ndarray) -> Tensor:
        # no seed of the run: frozen questions are a set of data, the same for all
        return seeds_of(sample_seeds(FROZEN, 0, indices) if self.frozen else seeds)

    def answers(self, indices: np.ndarray, seeds: np.ndarray) -> Tensor:
        """What `finish` will give as classes, or weights: without decoding a picture."""
        size = (self.shape[1], self.shape[2])
        return self.question.draw(self._seeds(indices, seeds), size)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """`pictures` BPCYX as they are held, `draw` int64 B (the seeds used), `origin`, `label`."""
        draw_B = self._seeds(indices, seeds)
        index_B = torch.from_numpy(np.asarray(indices, np.int64))
        try:
            origin_BP = partners(draw_B, index_B, self.question.pictures, len(self))
        except ValueError as error:
            raise DataError(f"data: pretext {self.question.kind}: {error}") from None
        raw = self.base.gather(origin_BP.flatten().numpy(), np.repeat(seeds, origin_BP.shape[1]))
        batch = {"pictures": raw["image"].unflatten(0, tuple(origin_BP.shape))}
        batch |= {"draw": draw_B, "origin": origin_BP}
        if "label" in raw:
            batch["label"] = raw["label"].view(origin_BP.shape)[:, 0].contiguous()
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        batch = dict(batch)
        # on the device: bytes are a quarter of float32 on their way
        pictures = as_unit(batch.pop("pictures"))
        # small, and drawn on the CPU: one of them needs scipy
        question = self.question.compose(pictures, batch.pop("draw").cpu())
        batch |= {"image": question.image, "target": question.target}
        extra = {"sources": question.sources, "weights": question.weights, "box": question.box}
        return batch | {name: value for name, value in extra.items() if value is not None}


def twin_notes(source: ImageSource | FileSource) -> list[str]:
    """A line if pictures of one set are copies of each other: as sources of one sample they can't
    be told apart, as samples of one batch they count as different."""
    # all pairs of a larger set take too long, and files would have to be decoded
    if isinstance(source, FileSource) or not 1 < len(source) <= MOST:
        return []
    pairs = find_twins(source.images)
    if not pairs:
        return []
    shown = ", ".join(f"{source.names[a]} = {source.names[b]}" for a, b in pairs[:3])
    return [
        f"{source.part.label}: {len({b for _, b in pairs})} of {len(source)} pictures repeat an "
        f"earlier one (correlation above {ALIKE}), as {shown}: no pretext can tell them apart"
    ]


def find_twins(images: np.ndarray) -> list[tuple[int, int]]:
    """(earlier, later) of pictures whose 16x16 thumbnails correlate above ALIKE; flat ones never.

    `images` BCYX, uint8 or in 0..1. Each later picture appears once.
    """
    rows = []
    for start in range(0, len(images), 512):
        block = as_levels(torch.from_numpy(np.ascontiguousarray(images[start : start + 512])))
        flat = adaptive_avg_pool2d(block, min(SIDE, *block.shape[2:])).flatten(1)
        # brightness is no pattern
        flat = flat - flat.mean(1, keepdim=True)
        pattern = flat.square().mean(1, keepdim=True).sqrt() > FLAT
        rows.append(normalize(flat, dim=1) * pattern)
    row = torch.cat(rows)
    earlier_of: dict[int, int] = {}
    for start in range(0, len(row), 2048):
        later, earlier = torch.nonzero(row[start : start + 2048] @ row.T > ALIKE, as_tuple=True)
        for b, a in zip((later + start).tolist(), earlier.tolist(), strict=True):
            # each pair is met twice, and each picture with itself
            if a < b and b not in earlier_of:
                earlier_of[b] = a
    return [(a, b) for b, a in sorted(earlier_of.items())]
