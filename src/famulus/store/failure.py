"""What ended a run, in a form that may be shown: the kind of error, and the line that raised it."""

import os
import site
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from famulus.store.provenance import PACKAGE
from famulus.store.secrets import scrubbed

LONGEST = 500  # characters of a reason


def reason_of(error: BaseException) -> str:
    """`ValueError: ...` in one line, without secrets."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    # masked before it is cut, or half of a password is left
    return scrubbed(text)[:LONGEST]


def facts(error: BaseException) -> dict[str, Any]:
    """What the end of an attempt holds of it."""
    return {"why": reason_of(error), "error": error_of(error)}


def error_of(error: BaseException) -> dict[str, Any]:
    """{"type": "ValueError", "at": "tiles.py:45 in loss"}: of the error that began it.

    `at` is the innermost line of Famulus's or the person's own code ('' if there is none), with
    the file relative to its package or project.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [
        f"{name}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (name := _shown(frame.filename))
    ]
    return {"type": type(error).__name__, "at": lines[-1] if lines else ""}


def _shown(filename: str) -> str:
    """A file without its machine; '' for one of Python or of an installed package."""
    if filename.startswith("<"):  # typed in, or made by exec
        return "" if filename.startswith("<frozen") else filename
    path = Path(filename).absolute()
    if path.is_relative_to(PACKAGE):
        return path.relative_to(PACKAGE).as_posix()
    if any(path.is_relative_to(folder) for folder in _installed()):
        return ""
    here = Path.cwd()
    if path.is_relative_to(here):
        return path.relative_to(here).as_posix()
    top = path.parent
    while (top / "__init__.py").exists():
        top = top.parent
    return path.relative_to(top).as_posix()


def _installed() -> list[Path]:
    """Folders whose code nobody wrote for this run."""
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    return [Path(os.path.abspath(one)) for one in [*folders, *site.getsitepackages()]]
