"""A run of a store as a value: what it is, what it measured, and its model."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from famulus.config.errors import Busy, ConfigError, DataError, FamulusError, StoreError
from famulus.feed.extras import needed
from famulus.journal.facts.read import read_run
from famulus.lab.html import facts_html, table_html
from famulus.lab.rows import Row, causes, points_of
from famulus.store.run import Run

if TYPE_CHECKING:
    import pandas

    from famulus.diagnosis.history import Finding
    from famulus.lab.model import Model

COLUMNS = ("step", "inputs", "seconds", "split", "score", "value")  # of a curve


class LabRun:
    """One run. `id`, `slug`, `experiment` as in the store; the rest is read when asked for."""

    def __init__(self, run: Run, modules: tuple[str, ...] = ()) -> None:
        self._run, self._modules = run, modules
        self.id, self.slug, self.experiment = run.id, run.slug, run.experiment

    @property
    def path(self) -> str:
        """Where its files lie: a folder, or a URL."""
        return f"{self._run.files.root}/{self._run.path}"

    @property
    def status(self) -> str:
        """planned, running, interrupted, failed or finished."""
        return self._run.status()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The filled settings."""
        return self._run.config()

    @property
    def scores(self) -> dict[str, float]:
        """The last ones, as `val/loss`."""
        return read_run(self._run).scores

    def curve(self) -> "pandas.DataFrame":
        """A row a measured point: step, inputs (samples seen), seconds, split, score, value.

        What was resumed, extended or forked is one curve with what it goes on from.
        """
        return frame(points_of(self._run), "curve", COLUMNS)

    def findings(self) -> list["Finding"]:
        """What the doctor says of it now, root causes first: cause, severity, evidence, remedy."""
        from famulus.lab.diagnosis import verdict_of

        return verdict_of(self._run).findings

    def load(self, checkpoint: str | int = "best", device: str = "auto") -> "Model":
        """Its model. Raises as `famulus.load`."""
        from famulus.lab.model import load

        return load(self.id, self._run.files.root, checkpoint, device, self._modules)

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.experiment}: {self.slug}, {self.status}>"

    def _repr_html_(self) -> str:
        record = read_run(self._run)
        facts: dict[str, Any] = {"status": record.status, "inputs": record.inputs}
        facts |= {"seconds": record.seconds, **record.scores, "findings": causes(record)}
        return facts_html(f"{self.experiment}: {self.slug} ({self.id})", facts)


class Rows(list[Row]):
    """Plain dicts of equal keys, which show as a table in a notebook."""

    def _repr_html_(self) -> str:
        return table_html(self)


class Runs(list[LabRun]):
    """Runs, which show as a table in a notebook."""

    def _repr_html_(self) -> str:
        rows = [
            {"id": one.id, "slug": one.slug, "status": one.status, **one.scores} for one in self
        ]
        return table_html(rows)


def frame(rows: Iterable[Row], what: str, columns: Iterable[str] | None = None) -> Any:
    """A pandas DataFrame; without rows it has the columns all the same. Raises DataError where
    pandas lacks."""
    pandas = needed("pandas", "pandas", f"Lab.{what}")
    return pandas.DataFrame(list(rows), columns=None if columns is None else list(columns))


def error_of(code: int, text: str) -> FamulusError:
    """The error that a command with this exit code would have ended with."""
    kinds = {kind.exit_code: kind for kind in (ConfigError, DataError, StoreError, Busy)}
    return kinds.get(code, FamulusError)(text)
