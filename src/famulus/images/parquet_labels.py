"""Labels in the column of tables: the same positions for all files of a set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.labels import MAX_CLASSES, positions
from famulus.images.parquet_schema import MAX_NAME
from famulus.images.parquet_table import Table, label_column


def labels_of(
    path: Path, used: Mapping[str, list[Table]]
) -> tuple[dict[str, np.ndarray], tuple[str, ...], list[str]]:
    """(int64 positions for each split, class names, notes); nothing where a table has no labels.

    Raises DataError for labels that are no classes, or of files that do not agree.
    """
    tables = [table for group in used.values() for table in group]
    bare = [table for table in tables if table.columns.label is None]
    if bare:
        note = f"{path.stem}: no labels in {bare[0].path.name}: those of other files are not used"
        return {}, (), [note] if len(bare) < len(tables) else []
    first = tables[0].columns
    for table in tables:
        other = table.columns
        if (other.label, other.texts, other.classes) != (first.label, first.texts, first.classes):
            raise DataError(
                f"{table.path}: expected labels as in {tables[0].path}: column {first.label}, of "
                "the same kind and the same classes"
            )
    columns = {role: [label_column(table) for table in group] for role, group in used.items()}
    if first.texts:
        names = _names(path, {t for group in columns.values() for _, known in group for t in known})
        place = {name: i for i, name in enumerate(names)}
        coded = {
            role: [np.array([place[t] for t in known], np.int64)[codes] for codes, known in group]
            for role, group in columns.items()
        }
        return {role: np.concatenate(group) for role, group in coded.items()}, names, []
    numbers = {role: np.concatenate([c for c, _ in group]) for role, group in columns.items()}
    where = {role: f"{group[0].path}: {first.label}" for role, group in used.items()}
    return positions(numbers, first.classes, where)


def _names(path: Path, texts: set[str]) -> tuple[str, ...]:
    longest = max(map(len, texts), default=0)
    if longest > MAX_NAME or len(texts) > MAX_CLASSES:
        raise DataError(
            f"{path}: expected names of classes as labels, received {len(texts):,} texts of up to "
            f"{longest:,} letters"
        )
    return tuple(sorted(texts))
