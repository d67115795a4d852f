"""By which score cells are ranked, which way is better, and why not, where they are not.

What the file's expectations are about leads, then its own score (`training.keep.best`), then
`val/loss`, then what the task declares as comparable, in its order. A score ranks only if somebody
said which way is better, and if it is the same quantity in every cell: a loss with other terms or
other weights is another one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from famulus.config.scores import PREFIX, Score, find
from famulus.journal.facts.record import Record

Better = Literal["lower", "higher"]
LENGTH = 1.02  # ratio of samples seen, up to which two runs are as long: a last batch may differ
WATCHING = (("keep", "best"), ("stop", "score"), ("schedule", "score"))
Cell = TypeVar("Cell")


@dataclass(frozen=True)
class Ranking:
    """`better` is None where nothing may be ranked.

    `because`: why not by the file's own score, as half a sentence; '' where it is by that.
    """

    score: str = "val/loss"
    better: Better | None = "lower"
    because: str = ""
    lengths: str = ""  # 'were trained for 512 to 1,024 samples'; '' for equally many

    @property
    def end(self) -> str:
        """lowest or highest: the end of the scores that is best."""
        return "highest" if self.better == "higher" else "lowest"

    @property
    def sign(self) -> int:
        """Times a value: the smaller, the better."""
        return -1 if self.better == "higher" else 1

    def sorted(self, cells: Iterable[Cell], value: Callable[[Cell], float | None]) -> list[Cell]:
        """Those that have a value, the best first; as they come where nothing is ranked."""
        pairs = [(self.sign * v, cell) for cell in cells if (v := value(cell)) is not None]
        return [c for _, c in (sorted(pairs, key=lambda p: p[0]) if self.better else pairs)]

    def best(self, values: Iterable[float]) -> float | None:
        signed = [self.sign * v for v in values] if self.better else []
        return self.sign * min(signed) if signed else None

    @property
    def legend(self) -> str:
        """'val/auc: higher is better'; why nothing is ranked, where nothing is."""
        if self.better is None:
            return f"not ranked: {self.because}"
        words = f"{self.score}: {self.better} is better"
        words += f"; {self.because}" if self.because else ""
        return words + (f"; the rows {self.lengths}" if self.lengths else "")

    def beaten(self, value: float, other: float) -> bool:
        """Is `value` no better than `other`? False where nothing is ranked."""
        return bool(self.better) and self.sign * value >= self.sign * other


DEFAULT = Ranking()


def score_names(records: Iterable[Record]) -> list[str]:
    """What any of the runs measured, as val/loss, in order of appearance."""
    return list(dict.fromkeys(s for r in records for s in r.scores))


def ranking(
    records: Sequence[Record],
    scores: Sequence[str],
    asked: str = "",
    expected: Sequence[str] = (),
    forks: bool = False,
) -> Ranking:
    """How these runs are ranked, by the score that is `asked` for or by the first that may.

    `scores`: what any of them measured, as val/loss; `expected`: those that the file's expectations
    are about; `forks`: runs that go on from others of these are rows like any other.
    """
    training = (records[0].config.get("training") or {}) if records else {}
    own = (training.get("keep") or {}).get("best")
    finished = [r for r in records if r.scores]
    whole = [s for s in expected if finished and all(s in r.scores for r in finished)]
    asked_for = [s for s in whole if not _unranked(s, records)]
    leading = [s for s in (*asked_for, own, "val/loss") if s and (s in scores or not scores)]
    candidates = [asked] if asked else [*leading, *_comparable(records, scores)]
    # something must lead the table even where nothing may be ranked
    first = next(iter([*candidates, *scores]), "val/loss")
    because = ""
    for score in dict.fromkeys(candidates or [first]):
        if reason := _unranked(score, records):
            because = because or reason
        else:
            return Ranking(score, better(score, records), because, _lengths(records, forks))
    return Ranking(first, None, because)


def _lengths(records: Sequence[Record], forks: bool) -> str:
    """Where finished runs saw unequally many samples; forks of runs that are here have no say."""
    ids = set() if forks else {r.id for r in records}
    own = [r for r in records if not (r.heir and r.parent["run"] in ids)]
    seen = sorted(r.inputs for r in own if r.status == "finished" and r.inputs)
    if not seen or seen[-1] <= LENGTH * seen[0]:
        return ""
    return f"were trained for {seen[0]:,} to {seen[-1]:,} samples"


def _comparable(records: Sequence[Record], scores: Sequence[str]) -> list[str]:
    """Measured scores that are declared comparable, in the order of the declarations.

    One that only some cells measured would leave out the others without a word.
    """
    declared: dict[str, Score] = {}
    for record in records:
        declared |= {n: s for n, s in record.declared.items() if n not in declared}
    finished = [r for r in records if r.scores]
    shared = [s for s in scores if all(s in r.scores for r in finished)]
    return [
        s for n, meant in declared.items() if meant.comparable and meant.better
        for s in shared if find(s, declared) is meant and _named(s, n)
    ]  # fmt: skip


def _named(score: str, declared: str) -> bool:
    return score.removeprefix(PREFIX).startswith(declared)


def better(score: str, records: Iterable[Record]) -> Better | None:
    """Which way a score is better, where all runs that say it agree."""
    ways = _ways(score, records)
    # disagreement is no answer: ranking either way would be wrong for some
    return ways.pop() if len(ways) == 1 else None


def _ways(score: str, records: Iterable[Record]) -> set[Better]:
    return {way for r in records if (way := _better(score, r))}


def _better(score: str, record: Record) -> Better | None:
    known = find(score, record.declared)
    if known and known.better:
        return known.better
    training = record.config.get("training")
    for section, key in WATCHING:
        watch = (training.get(section) if isinstance(training, Mapping) else None) or {}
        if watch.get(key) == score and watch.get("direction") == "max":
            return "higher"
        # Version 0.1.0 filled in `min` where nobody had said anything.
        if watch.get(key) == score and watch.get("direction") and "scores" in record.facts:
            return "lower"
    return None


def _unranked(score: str, records: Sequence[Record]) -> str:
    """Why these runs are not ranked by `score`; '' if they may be."""
    measured = [r for r in records if score in r.scores] or list(records)
    if len({q for r in measured if (q := r.quantity(score)) is not None}) > 1:
        return f"{score} is not the same quantity in all cells"
    ways = _ways(score, records)
    if len(ways) > 1:
        return f"runs declare different directions of {score}"
    if records and not ways:
        if any(find(score, r.declared) for r in measured):
            return f"of {score}, neither lower nor higher is better"
        return f"nobody declared which way {score} is better"
    return ""
