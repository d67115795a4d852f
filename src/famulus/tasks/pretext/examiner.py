"""Which samples are answered wrongly, and how surely: one pass, a bounded number kept.

Shapes: B samples, K classes. Ids are the samples' positions in their split, which name their files.
Samples rank by the probability of the class that was *answered*: ranked by that of class 1, the
confident misses of a binary net would come last.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from famulus.feed.draws import uniforms
from famulus.tasks.base import Confusion

ORDERS = ("most wrong", "least wrong", "most sure", "least sure", "most right", "least right")


@dataclass(frozen=True, order=True)
class Answer:
    """One sample: `sure` is the probability of the answer, `own` that of the true class."""

    sure: float
    id: int
    true: int
    said: int
    own: float

    @property
    def wrong(self) -> bool:
        return self.true != self.said


class Examiner:
    """Counts, and for each (true, said) the `keep` surest, least sure and random samples."""

    def __init__(self, classes: int, keep: int = 12) -> None:
        self.keep = keep
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)  # true, said
        self._heaps: dict[str, dict[tuple[int, int], list]] = {"top": {}, "low": {}, "any": {}}

    def add(self, probability_BK: Tensor, true_B: Tensor, id_B: Tensor) -> None:
        """Raises ValueError for a label outside 0 .. K - 1."""
        # on the CPU once: rows are looked at one by one
        probability_BK = probability_BK.detach().double().cpu()
        true_B, id_B = true_B.cpu(), id_B.cpu()
        count = len(self.confusion)
        if len(true_B) and not 0 <= int(true_B.min()) <= int(true_B.max()) < count:
            raise ValueError(
                f"expected labels in 0..{count - 1}, received {int(true_B.min())} to"
                f" {int(true_B.max())}"
            )
        sure_B, said_B = probability_BK.max(1)
        own_B = probability_BK.gather(1, true_B[:, None])[:, 0]
        places = true_B * count + said_B
        self.confusion += torch.bincount(places, minlength=count * count).view(count, count)
        # by id: the random ones are the same at every validation
        lots = uniforms(id_B, 0, 1)[:, 0].tolist()
        columns = (sure_B, id_B, true_B, said_B, own_B)
        for lot, *row in zip(lots, *(c.tolist() for c in columns), strict=True):
            answer = Answer(*row)
            cell = (answer.true, answer.said)
            # ties by id: the lists don't depend on batches
            self._push("top", cell, (answer.sure, -answer.id), answer)
            self._push("low", cell, (-answer.sure, -answer.id), answer)
            self._push("any", cell, (lot, -answer.id), answer)

    def _push(self, heap: str, cell: tuple[int, int], key: tuple, answer: Answer) -> None:
        # a cell each: a list of any class or mistake can be put together afterwards
        kept = self._heaps[heap].setdefault(cell, [])
        heapq.heappush(kept, (key, answer))
        if len(kept) > self.keep:
            heapq.heappop(kept)

    def select(
        self, order: str, count: int, true: int | None = None, said: int | None = None
    ) -> list[Answer]:
        """The first `count` (at most `keep`) in an order of ORDERS or `random`, of some classes."""
        if order != "random" and order not in ORDERS:
            raise ValueError(f"expected one of {', '.join(ORDERS)} or random, received {order!r}")
        heap = {"most": "top", "least": "low"}.get(order.split()[0], "any")
        answers = []
        for (t, s), kept in self._heaps[heap].items():
            if true not in (None, t) or said not in (None, s):
                continue
            if (order.endswith("wrong") and t == s) or (order.endswith("right") and t != s):
                continue
            answers += kept
        return [answer for _, answer in sorted(answers, reverse=True)[: min(count, self.keep)]]

    @property
    def seen(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(self.confusion.diagonal().sum()) / max(1, self.seen)

    @property
    def true_counts(self) -> list[int]:
        return self.confusion.sum(1).tolist()

    @property
    def said_counts(self) -> list[int]:
        return self.confusion.sum(0).tolist()

    def table(self, names: Sequence[str], most: int = 12) -> Confusion:
        """All classes, or of many those of most mistakes, and the rest as one more at the end.

        The last cell of such a table holds right answers and mistakes among the rest together.
        """
        counts_KK = self.confusion
        if len(counts_KK) > most + 1:
            wrong_KK = counts_KK.clone().fill_diagonal_(0)
            wrong_K = wrong_KK.sum(0) + wrong_KK.sum(1)
            # stable, and in the classes' own order afterwards
            shown = sorted(wrong_K.argsort(descending=True, stable=True)[:most].tolist())
            place_K = torch.full((len(counts_KK),), most)
            place_K[shown] = torch.arange(most)
            merged = torch.zeros(most + 1, len(counts_KK), dtype=torch.int64)
            merged.index_add_(0, place_K, counts_KK)
            counts_KK = torch.zeros(most + 1, most + 1, dtype=torch.int64)
            counts_KK.index_add_(1, place_K, merged)
            names = [*(names[k] for k in shown), f"{len(names) - most} others"]
        return Confusion(list(names), counts_KK.tolist())

    def confusions(self, count: int) -> list[tuple[int, int, int]]:
        """(true, said, how often), the commonest mistakes first."""
        table = self.confusion.clone().fill_diagonal_(0)
        # stable: equal counts keep the classes' order
        order = table.flatten().argsort(descending=True, stable=True)[:count].tolist()
        cells = [(i // len(table), i % len(table)) for i in order]
        return [(t, s, int(table[t, s])) for t, s in cells if table[t, s]]


def examine(
    batches: Iterable[tuple[Tensor, Tensor, Tensor]], classes: int, keep: int = 12
) -> Examiner:
    """Over (probabilities BK, labels B, ids B)."""
    examiner = Examiner(classes, keep)
    for probability, true, ids in batches:
        examiner.add(probability, true, ids)
    return examiner


def table_picture(confusion_KK: Tensor, cell: int = 12) -> Tensor:
    """Rows (true) as shares of their sum, dark = often, 1 pixel of frame: float32 1,1,Y,X in 0..1.

    Classes without a sample stay white.
    """
    share = confusion_KK.double() / confusion_KK.sum(1, keepdim=True).clamp(min=1)
    grid = (1 - share.float()).repeat_interleave(cell, 0).repeat_interleave(cell, 1)
    grid[::cell] *= 0.85
    grid[:, ::cell] *= 0.85
    return grid[None, None]
