"""Where in a person's code something happens, and what it is called there.

Names are read off the source text: `optD = Adam(netD.parameters())` builds an optimizer that its
author calls optD, of a model called netD. No frame's variables are touched: looking at them would
keep a step's tensors alive.
"""

from __future__ import annotations

import ast
import linecache
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

PACKAGE = str(Path(__file__).parents[2])
TORCH = str(Path(torch.__file__).parent)
LIBRARIES = (
    *("site-packages", "dist-packages"),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
)


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


def caller(depth: int = 2) -> Place | None:
    """The nearest line that is neither ours nor torch's: what called a seam."""
    frame = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((TORCH, PACKAGE)):
            return Place(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]  # ends with None
    return None


def own_line(depth: int = 2) -> Place | None:
    """The nearest line of the person's own code: in no library. None if libraries call alone."""
    frame = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        if not _in_library(file):
            return Place(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]  # ends with None
    return None


@lru_cache(maxsize=1024)  # asked of each frame at each loss
def _in_library(file: str) -> bool:
    return file.startswith((TORCH, PACKAGE, "<frozen")) or any(p in file for p in LIBRARIES)


def assigned_to(place: Place | None) -> str | None:
    """`optD` for the line `optD = Adam(...)`, `self.opt` for `self.opt = ...`."""
    match _statement(place):
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return _dotted(target)
    return None


def model_named(place: Place | None) -> str | None:
    """`netD` for a line with `netD.parameters()`, if it is one model alone."""
    statement = _statement(place)
    names = {
        _dotted(node.func.value)
        for node in ast.walk(statement or ast.Pass())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("parameters", "named_parameters")
    }
    return names.pop() if len(names) == 1 else None


def made_as(place: Place | None, kind: str) -> str | None:
    """`netG` if the file says `netG = Generator(...)` in one place: what an object of this class is
    called in it."""
    names = set()
    for statement in _statements(place.file) if place else ():
        match statement:
            case ast.Assign(targets=[target], value=value):
                calls = [n.func for n in ast.walk(value) if isinstance(n, ast.Call)]
                if kind in {(_dotted(f) or "").rpartition(".")[2] for f in calls}:
                    names.add(_dotted(target))
    return names.pop() if len(names) == 1 else None


def loss_named(place: Place | None) -> str | None:
    """`errD` for `errD.backward()`, `loss` for `scaler.scale(loss / 4).backward()`."""
    for node in ast.walk(_statement(place) or ast.Pass()):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "backward":
            names = [_dotted(n) for n in ast.walk(node.func.value) if isinstance(n, ast.Name)]
            called = {
                inner.id
                for call in ast.walk(node.func.value)
                if isinstance(call, ast.Call)
                for inner in ast.walk(call.func)
                if isinstance(inner, ast.Name)
            }
            plain = _dotted(node.func.value)
            return plain or next((name for name in names if name and name not in called), None)
    return None


def _dotted(node: ast.AST) -> str | None:
    """`self.net` of names and attributes; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := _dotted(node.value)):
        return f"{inner}.{node.attr}"
    return None


def _statement(place: Place | None) -> ast.stmt | None:
    """The innermost statement that covers the line; None where there is no source."""
    if place is None:
        return None
    covers = [s for s in _statements(place.file) if s.lineno <= place.line <= (s.end_lineno or 0)]
    return min(covers, key=lambda s: (s.end_lineno or 0) - s.lineno, default=None)


@lru_cache(maxsize=64)
def _statements(file: str) -> tuple[ast.stmt, ...]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.stmt))
