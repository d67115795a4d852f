"""Processes that run the command line, each forked from a server that has torch loaded already.

A process can be held in the middle of a training step, so that a signal meets it there.
"""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

LOOKS_S = 0.1  # between two looks at cells that others hold
LOADED = [
    *(
        "famulus.launch.actions",
        "famulus.tasks.tiles.tiles",
        "famulus.journal.pages.site",
        "rich.live",
    ),
    *("sklearn.datasets", "torch._dynamo"),  # which a first run would load otherwise
]


def _main(arguments, folder, name, hold_at):
    os.environ["FAMULUS_CACHE"] = str(folder / "cache")
    out = os.open(folder / f"{name}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    err = os.open(folder / f"{name}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")

    import torch

    from famulus import cli
    from famulus.launch import local
    from famulus.training.randomness import Streams

    torch.set_num_threads(1)
    local.POLL_S = LOOKS_S
    true = Streams.step

    def step(self, now):
        true(self, now)
        if now == hold_at:
            (folder / f"{name}.held").touch()
            while not (folder / f"{name}.go").exists():
                time.sleep(0.01)

    if hold_at is not None:
        Streams.step = step
    try:
        cli.main([str(a) for a in arguments])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class Process:
    """`famulus ARGUMENTS` in a process of its own; `hold_at`: the step in which it waits."""

    def __init__(self, folder: Path, name: str, *arguments: object, hold_at: int | None = None):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        self.folder, self.name = folder, name
        self.process = context.Process(
            target=_main, args=(list(map(str, arguments)), folder, name, hold_at)
        )
        self.process.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.is_alive():
            self.process.kill()
        self.process.join(30)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._read("out")

    @property
    def err(self) -> str:
        return self._read("err")

    def _read(self, stream: str) -> str:
        """What it has said so far; nothing before it opened its stream."""
        path = self.folder / f"{self.name}.{stream}"
        return path.read_text() if path.exists() else ""

    def until(self, ready, limit_s: float = 60.0) -> None:
        """Waits until `ready()`; AssertionError with what the process printed if it never is."""
        end = time.monotonic() + limit_s
        while not ready():
            assert time.monotonic() < end, f"waited {limit_s} s: {self.out}{self.err}"
            time.sleep(0.01)

    def held(self) -> "Process":
        """Waits until it stands in its step."""
        path = self.folder / f"{self.name}.held"
        self.until(lambda: path.exists() or not self.process.is_alive())
        assert path.exists(), f"it ended before: {self.out}{self.err}"
        return self

    def go(self) -> "Process":
        (self.folder / f"{self.name}.go").touch()
        return self

    def send(self, number: int) -> "Process":
        os.kill(self.pid, number)
        return self

    def kill(self) -> "Process":
        self.send(signal.SIGKILL).process.join(30)
        return self

    def code(self, limit_s: float = 60.0) -> int:
        """Exit code; minus the signal's number if one ended it."""
        self.process.join(limit_s)
        assert self.process.exitcode is not None, f"still runs: {self.out}{self.err}"
        return self.process.exitcode
