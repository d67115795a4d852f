"""A tiny experiment on real digits, and the command line called in this process.

Two cells of 10 steps (320 of the 8x8 digits, batch 32): checkpoints at 4, 8 and 10, validations at
5 and 10. A cell takes a tenth of a second.
"""

import contextlib
import hashlib
import io
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from famulus import cli
from famulus.training.randomness import Streams

TEXT = """\
why: does the machinery around a training hold?
task: tiles
matrix:
  lr: [0.001, 0.003]
data: {name: digits, subset: 320, validation: 64}
model: {kind: vae, channels: [4, 6], code: 8, dropout: 0.1}
loss: {reconstruction: l1, kl_weight: 0.001}
training:
  inputs: 320
  batch: 32
  optimizer: {name: adam, lr: "${matrix.lr}"}
  schedule: {name: cosine}
  precision: fp32
  validate_every: {steps: 5}
  checkpoint_every: {steps: 4}
  pictures_every: null
  log_every: {steps: 1}
  threads: 1
"""
STEPS = 10
ONE = ("--set", "matrix.lr=[0.001]")  # only the first cell


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON value on stdout; ValueError if there is anything else."""
        return json.loads(self.out)


def write(folder: Path, text: str = TEXT, name: str = "tiny") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def famulus(*arguments: object) -> Said:
    """`famulus ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
    return Said(code, out.getvalue(), err.getvalue())


def complains(said: Said, code: int, *words: str) -> str:
    """The one clear line: on stderr, with `words`, no traceback, and the exit code."""
    assert said.code == code, said
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("famulus: ")
    assert "Traceback" not in said.out + said.err
    for word in words:
        assert word in said.err, f"expected {word!r} in: {said.err}"
    return said.err


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder`, with the hash of what is in it."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def lost(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Files that are gone or hold something else."""
    return sorted(name for name in before if after.get(name) != before[name])


@contextlib.contextmanager
def signalled(step: int, number: int = signal.SIGINT):
    """This process gets a signal in the middle of training step `step` (from 0)."""
    true = Streams.step

    def at(self, now):
        true(self, now)
        if now == step:
            signal.raise_signal(number)

    Streams.step = at
    try:
        yield
    finally:
        Streams.step = true
