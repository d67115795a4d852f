"""More processes of this machine on the same experiment: each a command line, no object sent.

They share the cells through the store's claims, exactly as processes of other machines would.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from famulus.launch.session import Session


class Helpers:
    """`count` processes beside this one, as a context manager that waits for them."""

    def __init__(self, count: int, file: Path, overrides: Sequence[str], session: Session) -> None:
        self.command = [sys.executable, "-m", "famulus.cli", "run", str(file), "--json"]
        self.command += ["--store", session.store.root, "--lease-s", str(session.lease_s)]
        # One page for all of them: this process writes it at the end.
        self.command += ["--no-journal"]
        for override in overrides:
            self.command += ["--set", override]
        for module in session.modules:
            self.command += ["--allow-module", module]
        self.count = count
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(self.count):
            self.processes.append(
                # stderr stays: what a helper complains of must be seen
                subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.stop()
        for process in self.processes:
            process.wait()

    def stop(self) -> None:
        """Asks each for a resumable stop: a SIGTERM to this process alone does not reach them."""
        for process in self.processes:
            process.terminate()
