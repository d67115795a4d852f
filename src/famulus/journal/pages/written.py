"""Which files of a folder Famulus wrote: pages of what is gone go, a stranger's files stay.

The list lies beside the pages, by experiment, with a hash of each file. A file that is no longer
what was written is somebody's own by now.
"""

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

LIST = "famulus-pages.json"
Pages = dict[str, dict[str, str]]  # experiment -> path below the folder -> SHA-256


def read(folder: Path, store: str) -> Pages:
    """What the pages of `store` are, as they were last written; {} where nothing is known."""
    pages = _all(folder).get(store)
    if not isinstance(pages, dict):
        return {}
    return {e: dict(files) for e, files in pages.items() if isinstance(files, dict)}


def update(
    folder: Path, store: str, made: Mapping[str, Mapping[str, bytes]], present: Collection[str]
) -> bytes:
    """Removes files that were written for the experiments in `made`, or for those that are no
    longer `present`, and are not written now; returns the new list."""
    before = read(folder, store)
    now = {e: {p: _digest(data) for p, data in files.items()} for e, files in made.items()}
    kept = {path for files in now.values() for path in files}
    for experiment, files in before.items():
        if experiment in now or experiment not in present:
            for path, digest in files.items():
                if path not in kept:
                    _remove(folder, path, digest)
        else:
            now[experiment] = files
    text = json.dumps({**_all(folder), store: now}, indent=0, sort_keys=True)
    return text.encode()


def _all(folder: Path) -> dict[str, object]:
    try:
        stored = json.loads((folder / LIST).read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _remove(folder: Path, name: str, digest: str) -> None:
    path = PurePosixPath(str(name))
    # a list is a file like any other: its names must not lead out of the folder
    if path.is_absolute() or ".." in path.parts:
        return
    file = folder / path
    with contextlib.suppress(OSError):  # a page that stays is no reason to fail
        if file.is_file() and not file.is_symlink() and _digest(file.read_bytes()) == digest:
            file.unlink()
            for above in list(path.parents)[:-1]:
                (folder / above).rmdir()  # only an empty one goes
