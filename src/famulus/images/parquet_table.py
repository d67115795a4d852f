"""One parquet file: its footer, its row groups and its labels, within limits.

A row group is the least that parquet reads. Nothing but the footer is read before it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.images.parquet_schema import Columns, columns_of

MAX_GROUP_BYTES = 512 << 20  # of the pictures in one row group, which are held at once
STEP_BYTES = 128 << 20  # of a row group that are unpacked at once
MAX_LABEL_BYTES = 256 << 20
LFS = b"version https://git-lfs"  # what a clone without git-lfs has in place of a file


@dataclass(frozen=True)
class Table:
    """One file by its footer; `rows`: pictures in each row group."""

    path: Path
    columns: Columns
    rows: tuple[int, ...]

    @property
    def count(self) -> int:
        return sum(self.rows)


def table_of(path: Path) -> Table:
    """From the footer. Raises DataError for a file without pictures, or with too large groups."""

    def footer(file: Any) -> Table:
        columns = columns_of(file.schema_arrow, str(path))
        rows, nulls = [], 0
        for i, chunk in enumerate(_chunks(file, columns.leaf)):
            if chunk.total_uncompressed_size > MAX_GROUP_BYTES:
                raise DataError(_too_large(path, i, chunk.total_uncompressed_size))
            statistics = chunk.statistics
            nulls += statistics.null_count if statistics and statistics.has_null_count else 0
            rows.append(file.metadata.row_group(i).num_rows)
        if rows and nulls >= sum(rows) > 0:
            raise DataError(
                f"{path}: column {columns.image} holds no bytes: expected the pictures themselves, "
                "received paths alone"
            )
        if min(rows, default=0) < 0:
            raise DataError(f"{path}: a row group of {min(rows)} rows")
        return Table(path, columns, tuple(rows))

    return _read(path, footer)


def read_group(table: Table, group: int) -> Any:
    """A row group's pictures, a `pyarrow.Table` column of bytes or of struct<bytes>."""
    arrow = needed("pyarrow", "parquet", str(table.path))

    def column(file: Any) -> Any:
        size = _chunks(file, table.columns.leaf)[group].total_uncompressed_size
        # No value is longer than the whole chunk, but a dictionary may repeat one in each row.
        step = min(64, max(1, STEP_BYTES // max(size, 1)))
        batches, count = [], 0
        how = {"columns": [table.columns.leaf], "use_threads": False}
        for batch in file.iter_batches(batch_size=step, row_groups=[group], **how):
            batches.append(batch)
            count += batch.nbytes
            if count > MAX_GROUP_BYTES:
                raise DataError(_too_large(table.path, group, count))
        values = arrow.Table.from_batches(batches).column(0)
        if len(values) != table.rows[group]:
            raise DataError(f"{table.path}: row group {group} is cut short")
        return values

    return _read(table.path, column)


def label_column(table: Table) -> tuple[np.ndarray, list[str]]:
    """(numbers, nothing), or (positions, texts): a text that stands in each row is held once."""
    name = table.columns.label or ""
    where = f"{table.path}: {name}"

    def column(file: Any) -> tuple[np.ndarray, list[str]]:
        size = sum(chunk.total_uncompressed_size for chunk in _chunks(file, name))
        if size > MAX_LABEL_BYTES:
            raise DataError(f"{where}: {size:,} bytes of labels, limit {MAX_LABEL_BYTES:,}")
        values = file.read(columns=[name], use_threads=False).column(0).combine_chunks()
        if values.null_count:
            raise DataError(f"{where}: {values.null_count:,} of {len(values):,} have no label")
        if len(values) != table.count:
            raise DataError(f"{where}: {len(values)} labels of {table.count} rows")
        if not table.columns.texts:
            return values.to_numpy(zero_copy_only=False), []
        if not hasattr(values, "dictionary"):
            values = values.dictionary_encode()
        codes = values.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, values.dictionary.to_pylist()

    return _read(table.path, column, read_dictionary=[name] if table.columns.texts else None)


def _read(path: Path, work: Callable[[Any], Any], **how: Any) -> Any:
    """What `work` makes of the open file. Raises DataError naming the file."""
    parquet = needed("pyarrow.parquet", "parquet", str(path))
    try:
        with parquet.ParquetFile(path, pre_buffer=False, **how) as file:
            return work(file)
    except DataError:
        raise
    except Exception as error:  # damaged, truncated, encrypted, a codec that is not there
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        with open(path, "rb") as raw:
            if raw.read(len(LFS)) == LFS:
                reason = "a pointer of git-lfs: run git lfs pull"
        raise DataError(f"{path}: cannot be read as parquet ({reason})") from error


def _chunks(file: Any, leaf: str) -> list[Any]:
    """The footer's entry of a column, one for each row group."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    columns = ([group.column(j) for j in range(group.num_columns)] for group in groups)
    return [next(c for c in chunks if c.path_in_schema == leaf) for chunks in columns]


def _too_large(path: Path, group: int, size: int) -> str:
    return (
        f"{path}: row group {group} has {size:,} bytes of pictures, limit {MAX_GROUP_BYTES:,}: "
        "write it with row_group_size=100"
    )
