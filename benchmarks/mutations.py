"""Do the tests see faults? One small fault at a time is planted into a copy of the package.

The faults are data in `faults/*.yaml`: by name the `file` under src/famulus, the text `before`,
which stands there once, the text `after`, the `tests` that should fail, and `what` it is. A fault
counts as seen if those tests fail with failures, where they passed on the unchanged copy; if they
end otherwise (nothing failed, no test could be collected, the time was over), it has survived.

`planted` and `survived` count faults; `survivors` says how the tests ended for each of those.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from famulus.config import yaml
from famulus.config.errors import ConfigError

ROOT = Path(__file__).parents[1]
FAULTS = Path(__file__).parent / "faults"
LIMIT_S = 600.0  # of one run of tests, whose unchanged ones take a minute at most
PASSED, FAILED = 0, 1  # exit codes of pytest
ENDS = {PASSED: "all tests pass", None: f"no end within {LIMIT_S:g} s"}


@dataclass(frozen=True)
class Fault:
    what: str
    file: str
    before: str
    after: str
    tests: list[str]

    def planted(self, text: str) -> str:
        """`text` with the fault. Raises ValueError unless `before` stands there exactly once."""
        if (count := text.count(self.before)) != 1:
            raise ValueError(f"{self.file}: expected {self.before!r} once, received it {count} x")
        return text.replace(self.before, self.after)


def by_room() -> dict[str, dict[str, Fault]]:
    """All faults by name, by the file of faults that they stand in."""
    return {
        file.stem: {
            name: Fault(**fields)
            for name, fields in yaml.load(file.read_text(encoding="utf-8"), str(file)).value.items()
        }
        for file in sorted(FAULTS.glob("*.yaml"))
    }


def chosen(quick: bool, names: Sequence[str]) -> dict[str, Fault]:
    """The named ones; all without names; of each room the first if `quick`."""
    rooms = by_room()
    known = {name: fault for room in rooms.values() for name, fault in room.items()}
    if unknown := set(names) - set(known):
        raise ConfigError(f"expected names of faults, received {', '.join(sorted(unknown))}")
    first = {next(iter(room)) for room in rooms.values()}
    return {
        n: f for n, f in known.items() if n in names or (not names and (not quick or n in first))
    }


def measure(quick: bool, faults: Sequence[str] = ()) -> dict[str, Any]:
    """Plants the faults of these names, see `chosen`."""
    wanted = chosen(quick, faults)
    with tempfile.TemporaryDirectory(prefix="famulus-faults-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        survivors = _planted_in(source, wanted)
    return {"planted": len(wanted), "survived": len(survivors), "survivors": survivors}


def _planted_in(source: Path, wanted: Mapping[str, Fault]) -> dict[str, str]:
    @cache
    def passes(*tests: str) -> bool:
        return _exit_code(source, tests) == PASSED

    _check_import(source)
    survivors = {}
    for name, fault in wanted.items():
        if not passes(*fault.tests):
            survivors[name] = "tests do not pass without any fault"
            continue
        path = source / "famulus" / fault.file
        sound = path.read_text(encoding="utf-8")
        _write(path, fault.planted(sound))
        code = _exit_code(source, fault.tests)
        _write(path, sound)
        if code != FAILED:
            survivors[name] = ENDS.get(code, f"exit code {code}")
        print(f"{name}: {survivors.get(name, 'seen')}", file=sys.stderr, flush=True)
    return survivors


def _write(path: Path, text: str) -> None:
    """Compiled code is told from a change by whole seconds and by size: it goes, too."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def _environment(source: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}


def _check_import(source: Path) -> None:
    """Raises ConfigError if tests would import another package than the copy."""
    ask = [sys.executable, "-c", "import famulus; print(famulus.__file__)"]
    env = _environment(source)
    answer = subprocess.run(ask, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    if not Path(answer.stdout.strip()).is_relative_to(source):
        raise ConfigError(f"expected famulus from {source}, received {answer.stdout.strip()}")


def _exit_code(source: Path, tests: Sequence[str]) -> int | None:
    """Of pytest on these tests, up to the first failure; None if it takes too long."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    env = _environment(source)
    try:
        return subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, check=False, timeout=LIMIT_S
        ).returncode
    except subprocess.TimeoutExpired:
        return None
