"""A store: one folder, here or remote, that holds every run as plain files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from famulus.config.errors import StoreError
from famulus.config.names import RUN_FOLDER
from famulus.store import expectations, index, layout, records, refs
from famulus.store.files import Files, LocalFiles
from famulus.store.run import Home, Run
from famulus.store.secrets import hidden_values


class Store:
    """`Store.open("runs")` or `Store.open("s3://bucket/lab")`; `local` is its folder, if it has."""

    def __init__(self, files: Files, local: Path | None) -> None:
        self.home = Home(files)
        self.files = files
        self.local = local
        self.root = files.root
        self.absent = False  # nothing is there yet

    @classmethod
    def open(cls, url: str | Path, create: bool = True) -> Store:
        """Opens a store; if nothing is there, creates it, or is `absent` without `create`.

        Raises StoreError if it can't be reached or a newer Famulus wrote it.
        """
        text = str(url)
        if text.startswith(("file://", "local://")):
            text = text.partition("://")[2]
        if "://" in text or "::" in text:
            # here: a local store needs none of it
            from famulus.store.remote import FsspecFiles

            store = cls(FsspecFiles(text), None)
        else:
            files = LocalFiles(text)
            store = cls(files, files.folder)
        meta = records.read(store.files, layout.META)
        if meta is None:
            store.absent = True
            if create:
                store.begin()
            return store
        version = meta.get("version")
        # an older Famulus must not write into what it does not understand
        if not isinstance(version, int) or version > layout.VERSION:
            raise StoreError(
                f"{store.root}: expected a store of version {layout.VERSION} or older, received"
                f" {version!r}: upgrade famulus, or choose another --store"
            )
        return store

    def begin(self) -> None:
        """Creates the store where it is absent. Raises StoreError if it can't be written to."""
        if self.absent:
            # created: two processes may begin a new store at once
            self.files.create(layout.META, records.encode({"version": layout.VERSION}))
            self.absent = False

    @property
    def exclusive(self) -> bool:
        """Whether two writers can be kept apart. If not, only one may write: say so at start."""
        return self.files.exclusive()

    def free_bytes(self) -> int | None:
        """Free bytes where a run would be written; None if the service doesn't say."""
        return self.files.free_bytes()

    # experiments

    def experiments(self) -> list[str]:
        """Names, sorted; an experiment's name may hold slashes."""
        names: list[str] = []
        todo = [name for name in self.files.folders("") if name != layout.LAB]
        while todo:
            path = todo.pop()
            inner = self.files.folders(path)
            runs = {name for name in inner if RUN_FOLDER.fullmatch(name)}
            if runs or self.files.exists(f"{path}/cells.json"):
                names.append(path)
            todo += [f"{path}/{name}" for name in inner if name not in runs]
        return sorted(names)

    def plan(
        self,
        experiment: str,
        text: str,
        cells: Mapping[str, Any],
        expect: Sequence[Mapping[str, Any]] | None = None,
        overrides: Sequence[str] = (),
    ) -> None:
        """Stores the file as written, its planned cells and what was set beside it (`overrides`).

        What was resolved stays. `expect`: its expectations, which are dated here; None leaves them
        to the settings of the runs.
        """
        if not self.files.exists(layout.cells(experiment)):
            layout.new_experiment(experiment)
        planned: dict[str, Any] = {"cells": dict(cells), "overrides": list(overrides)}
        if expect is not None:
            before = (records.read(self.files, layout.cells(experiment)) or {}).get("expect") or []
            # of every run: the next plan may be of those that this one leaves out (`--set`)
            results = [row["id"] for row in self.rows(experiment) if row["scores"]]
            planned["expect"] = expectations.dated(before, expect, results, records.now())
        hidden = hidden_values(cells)
        self.files.write(layout.written(experiment), records.experiment(text, hidden))
        self._write_cells(experiment, planned)

    def note_source(self, experiment: str, place: str) -> None:
        """Keeps where the file of an experiment's plan lies, relative to whatever holds it."""
        if self.source(experiment) != place:
            self.files.write(layout.source(experiment), records.encode({"file": place}))

    def source(self, experiment: str) -> str | None:
        """Where the file of the plan lies; None of plans older than this record."""
        place = (records.read(self.files, layout.source(experiment)) or {}).get("file")
        return place if isinstance(place, str) else None

    def planned(self, experiment: str) -> dict[str, Any] | None:
        """{"text", "cells", "overrides", "expect", "resolved"}; None if it was never planned.

        `overrides` and `expect` (see store/expectations.py) are None where 0.1.0 planned it.
        """
        record = records.read(self.files, layout.cells(experiment))
        if record is None:
            return None
        try:
            text = self.files.read(layout.written(experiment)).decode(errors="replace")
        except FileNotFoundError:
            text = ""
        resolved = {**record.get("resolved", {}), **self._resolved(experiment)}
        told = {key: record.get(key) for key in ("overrides", "expect")}
        return {"text": text, "cells": record.get("cells", {}), **told, "resolved": resolved}

    def resolve_once(self, experiment: str, key: str, make: Callable[[], Any]) -> Any:
        """The experiment's value of `key`: `make()` of whoever asked first, for all cells.

        It is kept in a file of its own, which is created exclusively, and shown in cells.json.
        """
        path = layout.resolved(experiment, key)
        record = records.read(self.files, path)
        if record is None:
            record = {"value": make()}
            # somebody was faster: that value counts, so that all cells share one
            if not self.files.create(path, records.encode(record)):
                record = records.read(self.files, path)
            planned = records.read(self.files, layout.cells(experiment)) or {}
            self._write_cells(experiment, {"cells": {}, **planned})
        if not record or "value" not in record:
            raise StoreError(f"expected a value in {self.root}/{path}, received none: remove it")
        return record["value"]

    def _write_cells(self, experiment: str, planned: Mapping[str, Any]) -> None:
        record = {**planned, "resolved": self._resolved(experiment)}
        self.files.write(layout.cells(experiment), records.encode(record))

    def _resolved(self, experiment: str) -> dict[str, Any]:
        names = self.files.list(layout.experiment(experiment))
        keys = [m[1] for name in names if (m := re.fullmatch(r"cells\.(.+)\.json", name))]
        read = {k: records.read(self.files, layout.resolved(experiment, k)) for k in keys}
        return {k: record["value"] for k, record in read.items() if record and "value" in record}

    # runs

    def create_run(self, experiment: str, slug: str, id: str, config: Mapping[str, Any]) -> Run:
        """A run with its filled config, before anything else; an existing one is left alone."""
        run = Run(self.home, experiment, slug, id)
        if not run.exists():
            layout.new_experiment(experiment)
            self.files.create(layout.config(run.path), records.settings(config))
        return run

    def run(self, experiment: str, slug: str, id: str) -> Run:
        """A run that exists. Raises StoreError otherwise."""
        run = Run(self.home, experiment, slug, id)
        if not run.exists():
            raise StoreError(f"expected a run {run.path} in {self.root}, received none")
        return run

    def runs(self, experiment: str | None = None) -> list[Run]:
        """All runs (of one experiment), by experiment and slug."""
        return [
            Run(self.home, name, match["slug"], match["id"])
            for name in self._names(experiment)
            for folder in self.files.folders(name)
            if (match := RUN_FOLDER.fullmatch(folder))
        ]

    def rows(self, experiment: str | None = None) -> list[dict[str, Any]]:
        """What `status` shows, one row a run (of one experiment): see store/index.py."""
        if self.absent and not self.experiments():  # nor is anything cached of it
            return []
        return index.rows(self.home, self._names(experiment), whole=experiment is None)

    def find(self, ref: str, experiment: str | None = None) -> Run:
        """The run of an id, a unique prefix of one, `last` or `last:EXPERIMENT`.

        `last` is the run whose newest attempt began last. Raises StoreError that names candidates.
        """
        if ref == "last" or ref.startswith("last:"):
            within = ref.partition(":")[2] or experiment
            rows = self.rows(within)
            if not rows:
                where = f"experiment {within!r}" if within else self.root
                have = ", ".join(self.experiments()[: refs.SHOWN]) or "no experiments"
                raise StoreError(f"expected a run in {where}, received none: the store has {have}")
            row = refs.newest(rows)
            return Run(self.home, row["experiment"], row["slug"], row["id"])
        return refs.by_id(self.runs(experiment), ref, self.root, experiment)

    def _names(self, experiment: str | None) -> list[str]:
        return self.experiments() if experiment is None else [layout.experiment(experiment)]

    # the person's dated notes and list

    def lab(self) -> list[str]:
        """Names of the pages in `lab`, without their ending."""
        names = self.files.list(layout.LAB)
        return [name.removesuffix(".md") for name in names if name.endswith(".md")]

    def read_lab(self, page: str) -> str:
        """Markdown of a page such as `2026-11-20` or `todo`; empty if there is none."""
        try:
            return self.files.read(layout.lab(page)).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def write_lab(self, page: str, text: str) -> None:
        self.files.write(layout.lab(page), records.text(text))
