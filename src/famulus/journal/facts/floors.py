"""What the rivals of a net score without any training: the floors of an experiment."""

from collections.abc import Sequence

from famulus.journal.facts.numbers import figure
from famulus.journal.facts.record import Record


def floors_of(records: Sequence[Record]) -> tuple[tuple[str, str], ...]:
    """('best constant (loss)', '0.161', or a range over the cells), in order of appearance."""
    values: dict[str, list[float]] = {}
    for record in records:
        for floor in record.floors:
            name = f"{floor.get('means')} ({floor.get('score')})"
            values.setdefault(name, []).append(float(floor["value"]))
    spans = {name: (figure(min(scores)), figure(max(scores))) for name, scores in values.items()}
    return tuple((n, low if low == top else f"{low} to {top}") for n, (low, top) in spans.items())
