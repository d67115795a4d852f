"""Which run a reference means: an id or a unique prefix of one; `last` is the newest."""

from collections.abc import Mapping, Sequence
from typing import Any

from famulus.config.errors import StoreError
from famulus.store import records
from famulus.store.run import Run

SHOWN = 8  # candidates that an error names


def by_id(runs: Sequence[Run], prefix: str, root: str, experiment: str | None = None) -> Run:
    """The one of `runs` (of one experiment) whose id begins with `prefix`.

    Raises StoreError that names candidates.
    """
    where = f" in {experiment}" if experiment else ""
    # the empty prefix would mean every run
    matches = [run for run in runs if prefix and run.id.startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise StoreError(
            f"expected one run whose id begins with {prefix!r}{where}, received {len(matches)}:"
            f" {_named(matches)}; give more digits"
        )
    raise StoreError(
        f"expected the id of a run{where} in {root}, a prefix of one, or last; received"
        f" {prefix!r}: it has {_named(runs) or 'no runs'}"
    )


def newest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row of the index whose newest attempt began last."""
    return max(rows, key=lambda row: records.seconds(row["started"]))


def _named(runs: Sequence[Run]) -> str:
    names = [f"{run.id} ({run.experiment} {run.slug})" for run in runs[:SHOWN]]
    return ", ".join(names) + (", ..." if len(runs) > SHOWN else "")
