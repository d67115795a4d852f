"""Facts about what ran: code, packages, machine and command. Needs no torch, changes nothing."""

import hashlib
import os
import platform
import socket
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from famulus.store.secrets import scrubbed, scrubbed_command, without_credentials

LARGEST_DIFF = 1_000_000  # bytes of a diff that are kept
# a checkout on a slow network disk must not hold up a run for long
GIT_S = 20.0  # seconds that git may take
PACKAGE = Path(__file__).resolve().parents[1]
CORE = (
    "famulus",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pydantic",
    "ruamel.yaml",
    "fsspec",
    "safetensors",
    "pillow",
    "tifffile",
    "nibabel",
    "timm",
    "lightning",
    "ray",
    "submitit",
    "tensorstore",
)


def _git(folder: Path, *words: str) -> bytes | None:
    """What git prints; None where there is no git, no repository, or no answer."""
    # Without its monitor: a repository's settings must not choose a program that we start.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *words]
    # No locks: a look must not rewrite the index under a person's own git.
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=GIT_S,
            env=env,
            check=False,
            stdin=subprocess.DEVNULL,  # nobody is there to answer it
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def code(folder: str | Path) -> dict[str, Any] | None:
    """Commit and diff of the tracked files of the checkout around `folder`; None if it is none.

    `diff` has secrets hidden and at most 1 MB; `complete` says whether it is the whole and true
    diff, `diff_sha256` is that of the original.
    """
    top = _git(Path(folder), "rev-parse", "--show-toplevel")
    commit = _git(Path(folder), "rev-parse", "HEAD")
    if top is None or commit is None:
        return None
    # A configured diff program would be run, and what it prints is no patch.
    diff = _git(Path(folder), "diff", "HEAD", "--binary", "--no-color", "--no-ext-diff")
    raw = diff or b""
    shown = raw[:LARGEST_DIFF].decode(errors="replace")
    safe = scrubbed(shown, code=True)
    remote = _git(Path(folder), "config", "--get", "remote.origin.url")
    return {
        "folder": os.fsdecode(top).strip(),
        "commit": commit.decode().strip(),
        "remote": without_credentials(remote.decode(errors="replace").strip()) if remote else None,
        "diff": safe,
        "diff_sha256": hashlib.sha256(raw).hexdigest() if raw else None,
        # a patch with hidden parts does not apply: it must say so
        "complete": diff is not None and safe.encode() == raw,
    }


def source() -> dict[str, Any]:
    """Famulus's own code: a hash of its files, and the checkout that tracks them, if any."""
    # An installed package may lie in somebody's checkout without being part of it.
    tracked = _git(PACKAGE, "ls-files", "--error-unmatch", "__init__.py") is not None
    return {"sha256": digest(PACKAGE), "checkout": code(PACKAGE) if tracked else None}


def own_code(module: str) -> dict[str, Any] | None:
    """A person's own code that a run trains with: the file or the whole package of `module`.

    By its content alone, so that neither folders nor commits beside it count. None where the module
    is Famulus's own, or has no file.
    """
    package = module.partition(".")[0]
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is None or Path(file).absolute().is_relative_to(PACKAGE):
        return None
    top = Path(getattr(sys.modules.get(package), "__file__", None) or file)
    if top.name == "__init__.py":
        return {"name": package, "sha256": digest(top.parent)}
    # typed in line by line, or gone since
    if not (path := Path(file)).is_file():
        return None
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@cache
def digest(package: Path) -> str:
    """SHA-256 over names and contents of a package's Python files, as this process found them."""
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):  # rglob has the file system's order
        if not path.is_file():  # moved away while it was listed
            continue
        # Zeros keep neighbours apart: `ab` and `c` must not hash as `a` and `bc`.
        whole.update(path.relative_to(package).as_posix().encode() + b"\0")
        whole.update(path.read_bytes() + b"\0")
    return whole.hexdigest()


def packages() -> dict[str, str]:
    """Versions of those core packages that are installed."""
    versions = {}
    for name in CORE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, Any]:
    """Host, system, Python, processor, cores that this process may use, memory in bytes."""
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        # A container or a queue may lend fewer cores than the machine has.
        "cores": len(usable(0)) if usable else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def command(argv: list[str] | None = None) -> list[str]:
    """The command line without secrets and without credentials in URLs."""
    return scrubbed_command(list(sys.argv if argv is None else argv))


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", errors="replace") as file:
            for line in file:
                if line.lower().startswith(("model name", "hardware")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
