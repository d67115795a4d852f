"""A person's script as `python SCRIPT` and as `famulus watch SCRIPT`, and what either left.

A process costs seconds, most of them for importing torch: tests that look at one run share it.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import famulus as package
from famulus.store.run import Run
from famulus.store.store import Store
from tests.launch.tiny import famulus

SCRIPTS = Path(__file__).parent / "scripts"
STORE = "runs"
LIMIT_S = 240  # of a process that hangs


@dataclass(frozen=True)
class Outcome:
    """What a process left: exit code, both streams, its folder."""

    code: int
    out: str
    err: str
    folder: Path

    def json(self) -> Any:
        """The one JSON value on stdout; ValueError if there is anything else."""
        return json.loads(self.out)

    @property
    def store(self) -> Store:
        """Raises AssertionError if nothing was stored, with what the command said instead."""
        store = Store.open(self.folder / STORE, create=False)
        assert not store.absent, f"nothing was stored: {self}"
        return store

    def run(self) -> Run:
        """The only one."""
        runs = self.store.runs()
        assert len(runs) == 1, (runs, self)
        return runs[0]

    def famulus(self, *words: object) -> str:
        """What another command says of this store; it must succeed. In this process."""
        said = famulus(*words, "--store", self.folder / STORE)
        assert said.code == 0, said
        return said.out

    def notes(self) -> list[str]:
        """What Famulus itself says, line by line."""
        return [line for line in self.err.splitlines() if line.startswith("famulus: ")]


def script(folder: Path, name: str, text: str | None = None) -> Path:
    """A script in `folder`: of tests/watch/scripts, or of this text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        shutil.copy(SCRIPTS / path.name, path)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's, without what a launcher leaves in it; it imports this very famulus."""
    launched = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "FAMULUS_STORE"}
    kept = {k: v for k, v in os.environ.items() if k not in launched}
    source = Path(package.__file__).parents[1]
    kept["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "OMP_NUM_THREADS": "1", "FAMULUS_CACHE": str(folder / "cache"), **more}


def python(folder: Path, *words: object, stdin: str = "", **more: str) -> Outcome:
    """`python WORDS` in `folder`, with `more` in its environment."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, folder)


def command(*words: object, options: tuple[object, ...] = ()) -> list[str]:
    """What follows `python` for `famulus watch OPTIONS WORDS`, into the folder's store."""
    return ["-m", "famulus.cli", "watch", "--store", STORE, *map(str, (*options, *words))]


def watch(
    folder: Path,
    *words: object,
    options: tuple[object, ...] = (),
    stdin: str = "",
    **more: str,
) -> Outcome:
    """`famulus watch OPTIONS WORDS` in `folder`."""
    return python(folder, *command(*words, options=options), stdin=stdin, **more)


def by_model(store: Store) -> dict[str, Run]:
    """The runs of a store by the class of their model."""
    return {str(run.config().get("model", {}).get("class")): run for run in store.runs()}


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event for event in run.events() if event["kind"] == kind]


def in_order(lines: list[str], within: list[str]) -> bool:
    """Whether all of `lines` stand in `within` in this order, among others."""
    rest = iter(within)
    return all(line in rest for line in lines)
