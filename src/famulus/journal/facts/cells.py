"""The cells of an experiment's matrix, and which of its axes tell them apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from famulus.journal.facts.effects import naming
from famulus.journal.facts.group import Group, axis_names, gather, title, token
from famulus.journal.facts.numbers import plural
from famulus.journal.facts.record import Record

NO_MATRIX = "run"  # slug of a file's only cell


@dataclass(frozen=True)
class Cells:
    """`groups` in the order of the runs, children that went on with other settings last."""

    groups: tuple[Group, ...]
    axes: tuple[str, ...]  # that vary between cells
    naming: tuple[str, ...]  # those that tell cells apart, for labels

    @property
    def own(self) -> tuple[Group, ...]:
        """Groups of the plan: no children that went on with other settings."""
        return tuple(g for g in self.groups if not g.child_of)

    @property
    def replicates(self) -> set[int]:
        """How many runs the cells of the plan have."""
        return {len(g.records) for g in self.own}

    def name(self, record: Record, separator: str = " · ") -> str:
        """The cell of a run: 'mnist · bilinear · 20', or its slug where no axis varies."""
        words = title(record.axes, self.naming, separator) or record.slug
        # two forks may differ in their length alone
        alike = record.heir and self._titles[title(record.axes, self.naming)] > 1
        return f"{words}{separator}fork {record.id[:6]}" if alike else words

    @cached_property
    def _titles(self) -> Counter[str]:
        return Counter(title(g.axes, self.naming) for g in self.groups)

    def label(self, group: Group) -> str:
        """A cell in a sentence: 'mnist, bilinear, size 20'; 'the run' where there is no matrix."""
        name = self.name(group.records[0], ", ")
        return "the run" if name == NO_MATRIX else name

    def some(self, groups: Sequence[Group]) -> str:
        """In a sentence: 'all 24 cells', 'both cells and 1 fork', 'lr 0.1 and 2 other cells'."""
        own, forks = (sum(bool(g.child_of) == fork for g in groups) for fork in (False, True))
        if own == len(self.own) > 1:
            parts = ["both cells" if own == 2 else f"all {own} cells"]
        else:
            first = groups[0]
            own, forks = own - (not first.child_of), forks - bool(first.child_of)
            parts = [self.label(first), plural(own, "other cell") if own else ""]
        *parts, last = [p for p in (*parts, plural(forks, "fork") if forks else "") if p]
        return " and ".join([", ".join(parts), last] if parts else [last])


def cells_of(records: Sequence[Record]) -> Cells:
    """The cells that these runs are of."""
    groups = gather(records)
    levels = {a: {token(g.axes.get(a)) for g in groups} for a in axis_names(records)}
    axes = tuple(a for a, values in levels.items() if len(values) > 1)
    return Cells(groups, axes, tuple(naming(groups, axes)))
