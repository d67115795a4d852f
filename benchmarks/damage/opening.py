"""One input opened as a user does, in a process of its own: what came of it, time and memory.

`python -m benchmarks.damage.opening` reads a line `index kind folder path` of JSON for each input
from stdin and answers each with a line of JSON. It imports the readers once and forks for each.
"""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError

SPACE = 8 << 30  # of addresses, beside what the imports took: a guard, not the limit
LONGEST_S = 30
READERS = (
    *("famulus.images.open", "famulus.images.parquet", "famulus.volumes.describe"),
    *("famulus.volumes.nifti", "famulus.tasks.scroll.scroll", "famulus.tasks.tiles.tiles"),
    *("zarr", "pydicom", "nrrd", "pyarrow.parquet", "imagecodecs"),
)


def pictures(path: Path) -> str:
    """All pictures of both parts, with labels, notes, and one batch."""
    from famulus.images.open import open_images

    pages = "all" if path.name == "all" else "first"
    opened = open_images(str(path), size=8, channels=1, validation=0.3, pages=pages)
    for part in (opened.train, opened.validation):
        if part.slow:
            part.gather(np.arange(min(len(part), 4)), np.zeros(4, np.int64))
        else:
            assert part.images.shape[1:] == (1, 8, 8), "another shape than was asked for"
            assert part.labels is None or len(part.labels) == len(part), "labels and pictures"
        assert len(part.fingerprint) == 16
    for note in opened.notes:
        note.encode("utf-8", "surrogateescape")
        one_line(note, path)
    return f"{len(opened.train)} {len(opened.validation)}"


def volume(path: Path, **part: int) -> str:
    """Looked at, opened, and converted; a failed conversion must leave nothing."""
    from famulus.volumes.describe import info
    from famulus.volumes.open import Part, convert, open_volume

    out, errors, chosen = path.parent / "out.bricks", [], Part(**part)
    steps: list[Callable[[], Any]] = [
        lambda: info(path, chosen),
        lambda: open_volume(path, part=chosen),
    ]
    if path.suffix != ".bricks":
        steps.append(lambda: convert(path, out, part=chosen))
    for step in steps:
        try:
            result = step()
            notes = result["notes"] if isinstance(result, dict) else getattr(result, "notes", [])
            for note in notes:
                one_line(note, path)
        except DataError as error:
            errors.append(error)
    if out.exists() and not (out / "bricks.json").exists():
        raise AssertionError("a failed conversion left files behind")
    if errors:
        raise errors[-1]
    return ""


def map_of_values(path: Path) -> str:
    from famulus.volumes import nifti

    facts = nifti.sidecar(path)
    return f"{nifti.read(path).shape} {len(facts)}"


def index(path: Path) -> str:
    from famulus.images.image_index import Filter, kept_names, read_index

    names = [f"even/{i:02d}.png" for i in range(6)]
    how = Filter(include=frozenset(("a",)), orientation="portrait")
    return str(kept_names(names, read_index(path), how, lambda name: (12, 10)))


def settings(path: Path) -> str:
    from famulus import tasks
    from famulus.config.experiment import read

    return str(len(read(path, task=lambda name: tasks.load(name, ())).cells))


OPENERS: dict[str, Callable[[Path], str]] = {
    "pictures": pictures,
    "volume": volume,
    "channel": partial(volume, channel=0),
    "map": map_of_values,
    "index": index,
    "settings": settings,
}


def one_line(text: str, path: Path) -> None:
    """Raises AssertionError for a text of several lines, unless a file's name has them."""
    names = [path.name, *(p.name for p in path.parent.rglob("*"))]
    for name in names:
        text = text.replace(name, "")
    assert len(text.splitlines()) <= 1, f"a text of several lines: {text!r:.300}"


def named(text: str, path: Path) -> bool:
    names = {path.name, path.stem, *(p.name for p in path.parent.rglob("*"))}
    return any(name in text for name in names)


def outcome(opener: str, path: Path) -> tuple[str, str]:
    """opened, refused or internal; with what was said."""
    try:
        return "opened", OPENERS[opener](path)
    except (DataError, ConfigError) as error:
        try:
            one_line(str(error), path)
        except AssertionError as several:
            return "internal", str(several)
        if not named(str(error), path):
            return "internal", f"names no file: {error}"
        return "refused", str(error)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{f.filename.rsplit('famulus/', 1)[-1]}:{f.lineno}" for f in frames[-6:]]
        return "internal", f"{type(error).__name__}: {error!s:.300} ({' < '.join(ours[::-1])})"


def _child(opener: str, path: Path, out: int, printed: int) -> None:
    for stream in (1, 2):
        os.dup2(printed, stream)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    kind, text = outcome(opener, path)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    sys.stdout.flush(), sys.stderr.flush()
    row = {"outcome": kind, "text": text, "mb": peak / 1024, "seconds": seconds}
    os.write(out, json.dumps(row).encode())
    os._exit(0)


def opened(opener: str, path: Path) -> dict[str, Any]:
    """`outcome`, `text`, `mb` above the start, `seconds`; also if the process ends by itself."""
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile() as printed:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            signal.alarm(LONGEST_S)
            _child(opener, path, theirs, printed.fileno())
        os.close(theirs)
        with open(ours, "rb") as pipe:
            raw = pipe.read()
        _, status = os.waitpid(pid, 0)
        printed.seek(0)
        said = printed.read(2000).decode("utf-8", "replace").strip()
    if not raw:
        seconds = time.monotonic() - began
        text = f"the process ended with {status}: {said}"
        return {"outcome": "internal", "text": text, "mb": 0.0, "seconds": seconds}
    row = json.loads(raw)
    if said and row["outcome"] != "internal":
        row |= {"outcome": "internal", "text": f"printed: {said} ({row['text']})"}
    return row


def main() -> None:
    # what the first input would else pay for
    for module in READERS:
        importlib.import_module(module)
    for line in sys.stdin:
        opener, path = json.loads(line)
        print(json.dumps(opened(opener, Path(path))), flush=True)


if __name__ == "__main__":
    main()
