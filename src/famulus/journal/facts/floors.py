"""What a score is without any training: the floors that the cells of an experiment stand on."""

from collections.abc import Sequence
from dataclasses import dataclass

from famulus.journal.facts.record import Record


@dataclass(frozen=True)
class Floor:
    """What a rival of the net scores, lowest and highest over the cells."""

    score: str
    means: str  # 'best constant', ...
    low: float
    high: float


def floors_of(records: Sequence[Record]) -> tuple[Floor, ...]:
    """One floor for each score and rival, in order of appearance."""
    values: dict[tuple[str, str], set[float]] = {}
    for record in records:
        for floor in record.floors:
            key = (str(floor.get("score")), str(floor.get("means")))
            values.setdefault(key, set()).add(float(floor["value"]))
    return tuple(Floor(*key, min(span), max(span)) for key, span in values.items())
