"""Runs a script as `python SCRIPT ARGS` would, inside this process.

It is `__main__`, with its own arguments and the first place of the module path; what it raises is
shown as Python shows it, without a line of ours. Its module stays in place when it is over: exit
handlers, threads and pickles still refer to it.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from famulus.bridges.watch.places import PACKAGE
from famulus.config.errors import ConfigError
from famulus.config.names import problem

INTERRUPTED = 130


class Enough(BaseException):
    """Ends a script that was to run its first steps only. No Exception: scripts catch those."""


class Script:
    """A file, a folder with `__main__.py`, or with `module` the name of one.

    Raises ConfigError where there is none. Code is read here and not yet run.
    """

    def __init__(self, target: str, arguments: Sequence[str] = (), module: bool = False) -> None:
        self.target, self.arguments = target, list(arguments)
        self.spec: ModuleSpec | None = None
        self.path = _module_path(self) if module else _file_path(target)
        self.folder = str(Path.cwd() if module else self.path.parent)

    @property
    def name(self) -> str:
        """What its runs are called: the file's name, or the last part of the module's."""
        if self.spec is not None:
            return self.target.rpartition(".")[2]
        return self.path.parent.name if self.path.name == "__main__.py" else self.path.stem

    @property
    def experiment(self) -> str:
        """The name, as a store can hold it."""
        plain = re.sub(r"[^\w.+=,@~-]", "-", self.name).lstrip(".-+=,@~") or "script"
        return f"{plain}-script" if problem(plain) else plain

    @property
    def options(self) -> dict[str, Any]:
        """Its options of the command line, `--lr 0.1` or `--lr=0.1`: what sets its runs apart."""
        found: dict[str, Any] = {}
        words = iter([*self.arguments, "--"])
        word = next(words)
        while word != "--":
            after = next(words, "--")
            if word.startswith("--"):
                key, equals, value = word[2:].partition("=")
                taken = not equals and not after.startswith("--")
                found[key.replace("-", "_")] = _plain(value if equals else after if taken else True)
                after = next(words, "--") if taken else after
            word = after
        return found

    def run(self) -> tuple[int, BaseException | None]:
        """(exit code, what ended it before its last line); `prepare` comes before."""
        try:
            self._execute()
        except SystemExit as error:
            return _exit_code(error), error
        except KeyboardInterrupt as error:
            show(error)
            return INTERRUPTED, error
        except Enough:
            raise
        except BaseException as error:  # a script may have kinds of its own
            show(error)
            return 1, error
        return 0, None

    def prepare(self) -> None:
        """Makes this process the script's: whoever asks what runs here is told of it."""
        main = ModuleType("__main__")
        main.__dict__.update(
            __builtins__=builtins,
            __file__=str(self.path),
            __spec__=self.spec,
            __package__=self.spec.parent if self.spec else None,
            __loader__=self.spec.loader
            if self.spec
            else SourceFileLoader("__main__", str(self.path)),
            __cached__=None,
        )
        sys.modules["__main__"] = main
        sys.excepthook = sys.__excepthook__  # the command line has one of its own
        sys.argv = [str(self.path) if self.spec else self.target, *self.arguments]
        if not sys.flags.safe_path:
            sys.path[0] = self.folder

    def _execute(self) -> None:
        code = compile(self.path.read_bytes(), str(self.path), "exec", dont_inherit=True)
        exec(code, sys.modules["__main__"].__dict__)


def show(error: BaseException) -> None:
    """As the interpreter would; a script may have an excepthook of its own."""
    for one in _chain(error):
        one.__traceback__ = _without_ours(one.__traceback__)
    sys.stdout.flush()
    sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr.flush()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came of."""
    queue, known = [error], set[int]()
    for one in queue:
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        yield one
        queue += [one.__cause__, one.__context__]


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    frames = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
            frames.append(trace)
        trace = trace.tb_next
    behind: TracebackType | None = None
    for frame in reversed(frames):
        frame.tb_next, behind = behind, frame
    return behind


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return int(error.code or 0)
    print(error.code, file=sys.stderr)
    return 1


def _plain(text: str | bool) -> str | int | float | bool:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text) if isinstance(text, str) else text
    return text


def _file_path(target: str) -> Path:
    path = Path(target)
    path = path / "__main__.py" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"watch: can't open {target!r}: expected a Python script")
    return path.absolute()


def _module_path(script: Script) -> Path:
    """Where the module lies; looked for from the working folder on, as `python -m` does."""
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())
    name = script.target
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise ConfigError(f"watch -m {name}: can't find the module: {error}") from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ConfigError(f"watch -m {name}: expected a module or a package with __main__.py")
    script.spec = spec
    return Path(spec.origin)
