"""A store of runs in a program or a notebook: train, read, compare. Reading loads no torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from famulus.config.errors import StoreError
from famulus.config.yaml import inline
from famulus.feed.progress import quietly
from famulus.lab.html import facts_html
from famulus.lab.plain import plain
from famulus.lab.rows import rows_of
from famulus.lab.run import LabRun, Rows, Runs, error_of, frame
from famulus.launch.store import open_store
from famulus.store.store import Store

if TYPE_CHECKING:
    import pandas

    from famulus.diagnosis.history import Finding
    from famulus.lab.model import Model

NAMED = 8  # experiments that an error lists


class Report(os.PathLike[str]):
    """The page of an experiment, written: `path`, and `html`, its text. It opens offline."""

    def __init__(self, path: Path, experiment: str, sentences: Sequence[str]) -> None:
        self.path, self.experiment, self.sentences = path, experiment, list(sentences)

    @property
    def html(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<report {self.path}>"

    def _repr_html_(self) -> str:
        return facts_html(self.experiment, {"report": str(self.path)}, self.sentences)


class Lab:
    """A store: a folder or a URL; without one $FAMULUS_STORE, else `runs`.

    `allow_module`: modules of one's own that tasks may come from. A run is named by its id, the
    first digits of one, `last`, or `last:EXPERIMENT`. Errors are StoreError, ConfigError and
    DataError of `famulus.api`, one line each; nothing is printed.
    """

    def __init__(
        self, store: str | os.PathLike[str] | None = None, allow_module: Sequence[str] = ()
    ) -> None:
        self._store = open_store(store)
        self._modules = tuple(allow_module)

    @property
    def store(self) -> Store:
        """Its files and records (`famulus.api.Store`)."""
        return self._store

    def experiments(self) -> list[str]:
        """Names, sorted."""
        return self._store.experiments()

    def runs(self, experiment: str | None = None) -> Runs:
        """All runs (of one experiment), by experiment and slug."""
        named = None if experiment is None else self._known(experiment)
        return Runs(LabRun(run, self._modules) for run in self._store.runs(named))

    def find(self, ref: str) -> LabRun:
        """One run. Raises StoreError that names candidates."""
        return LabRun(self._store.find(ref), self._modules)

    def rows(self, experiment: str) -> Rows:
        """A row a run as plain dicts: see `famulus.lab.rows.rows_of` for the columns."""
        return Rows(rows_of(self._store, self._known(experiment)))

    def table(self, experiment: str) -> "pandas.DataFrame":
        """`rows` as a DataFrame (extra `pandas`)."""
        return frame(self.rows(experiment), "table")

    def curve(self, ref: str) -> "pandas.DataFrame":
        """What a run measured, point after point (extra `pandas`): see `LabRun.curve`."""
        return self.find(ref).curve()

    def findings(self, ref: str) -> list["Finding"]:
        """What the doctor says of a run: see `LabRun.findings`."""
        return self.find(ref).findings()

    def load(self, ref: str, checkpoint: str | int = "best", device: str = "auto") -> "Model":
        """The model of a run: see `famulus.load`."""
        return self.find(ref).load(checkpoint, device)

    def report(self, experiment: str, out: str | os.PathLike[str] | None = None) -> Report:
        """Writes the page of an experiment (into `<store>/journal`, or the folder `out`)."""
        from famulus.journal.facts import names
        from famulus.journal.facts.entry import collect
        from famulus.journal.facts.headline import sentences
        from famulus.journal.pages.site import write

        place = None if out is None else Path(out)
        ending = f"/{names.folder(self._known(experiment))}/index.html"
        pages = write(self._store, experiment, place)
        path = next(page for page in pages if page.as_posix().endswith(ending))
        lines = ["".join(parts) for parts in sentences(collect(self._store, experiment))]
        return Report(path, experiment, lines)

    def run(
        self,
        file: str | os.PathLike[str],
        set: Mapping[str, Any] | None = None,
        workers: int = 1,
    ) -> Runs:
        """Trains every cell of an experiment file that is not finished, in this process.

        `set`: settings to change, by their dotted paths. `workers`: processes that share the cells.
        Returns the runs of the plan. Raises what the command would end with, once all cells were
        tried; KeyboardInterrupt after Ctrl-C, and the same call goes on.
        """
        return train(self._store, self._modules, Path(file), set or {}, workers)

    def _known(self, experiment: str) -> str:
        have = self.experiments()
        if experiment not in have:
            shown = ", ".join(have[:NAMED]) or "none yet"
            raise StoreError(
                f"expected an experiment of {self._store.root}, received {experiment!r}: {shown}"
            )
        return experiment

    def __repr__(self) -> str:
        return f"<famulus.Lab {self._store.root}>"


def train(
    store: Store,
    modules: Sequence[str],
    file: Path,
    changes: Mapping[str, Any],
    workers: int = 1,
    place: str | None = None,
) -> Runs:
    """As `Lab.run`. `place`: where the experiment is from, if the file will not stay."""
    from famulus.launch.actions import run_file
    from famulus.launch.session import Session

    overrides = [f"{path}={inline(plain(value, path))}" for path, value in changes.items()]
    session = Session(store, tuple(modules), silent=True)
    with quietly():
        _, cells, report = run_file(session, file, overrides, workers=workers, place=place)
    if report.interrupted:
        raise KeyboardInterrupt(report.interrupted)
    if report.failed:
        raise error_of(report.exit_code, report.told())
    runs = (store.run(cell.experiment, cell.slug, cell.id) for cell in cells)
    return Runs(LabRun(run, tuple(modules)) for run in runs)
