"""Damage to one of the files of an input: its bytes, its name, what lies there instead."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.damage import bytes_damaged

NAMES = (
    *("a\nb", "a\tb", "a b", "a#b", "a'b\"c", "-a", "ä🙂", "%s{0}", "a;b,c", "A" * 200),
    *("[bold]x", "a\x1b[31mb", "..a", "$HOME", "~", "*", "#2", "01", "99999999999"),
)
# what lies beside them belongs to the input
NEIGHBOURED = (".jsonl", ".csv", ".tsv", ".nhdr", ".nii", ".gz")
OTHERS = (b"", b"\0", b"\0" * 5000, b"hello\n", b"<html>", b"\xff" * 300, b"[" * 100_000, b"{}")


def changed(file: Path, random: Random) -> str:
    kind = random.choice(bytes_damaged.ANY)
    whole = file.read_bytes()
    file.write_bytes(kind(whole, random))
    return kind.__name__


def exchanged(file: Path, random: Random) -> str:
    """With another file of the input, or of one picture in it."""
    other = random.choice([f for f in sorted(file.parent.iterdir()) if f.is_file()])
    ours, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs), other.write_bytes(ours)
    return f"exchanged with {other.name}"


def replaced(file: Path, random: Random) -> str:
    content = random.choice(OTHERS)
    file.write_bytes(content)
    return f"replaced by {content[:8]!r} of {len(content)} bytes"


def emptied(file: Path, random: Random) -> str:
    file.write_bytes(b"")
    return "emptied"


def renamed(file: Path, random: Random) -> str:
    name = random.choice(NAMES) + random.choice((file.suffix, file.suffix.upper(), "", ".x.gz"))
    file.rename(file.with_name(name))
    return f"renamed {name!r}"


def bytes_name(file: Path, random: Random) -> str:
    """A name that is no UTF-8, as old archives leave them."""
    os.rename(file, os.fsencode(file.parent) + b"/\xff\xfe" + os.fsencode(file.suffix))
    return "renamed to bytes that are no UTF-8"


def gone(file: Path, random: Random) -> str:
    file.unlink()
    return "removed"


def copied(file: Path, random: Random) -> str:
    shutil.copy(
        file, file.with_name(f"{file.stem}{random.choice(('1', ' (1)', '.bak'))}{file.suffix}")
    )
    return "copied beside itself"


def linked(file: Path, random: Random) -> str:
    target = random.choice((file.name, "nowhere", "..", ".", "/dev/zero", "/dev/full", "/"))
    file.unlink()
    file.symlink_to("/dev/zero" if target == "/" else target)
    return f"a link to {target}"


def fifo(file: Path, random: Random) -> str:
    beside = random.random() < 0.5
    place = file.with_name(f"pipe{file.suffix}") if beside else file
    if not beside:
        file.unlink()
    if not place.exists():
        os.mkfifo(place)
    return "a FIFO beside it" if beside else "a FIFO instead"


def folder(file: Path, random: Random) -> str:
    file.unlink()
    file.mkdir()
    return "a folder instead"


HARM: tuple[Callable[[Path, Random], str], ...] = (
    *(changed,) * 20,
    *(exchanged, replaced, replaced, emptied, renamed, renamed, bytes_name, gone, copied),
    *(linked, linked, fifo, fifo, folder),
)


def damaged(path: Path, random: Random) -> str:
    """Damages what lies at `path`, a file or a folder, once or twice; says how."""
    said = []
    for _ in range(random.choice((1, 1, 1, 2))):
        place = path.parent if path.suffix in NEIGHBOURED else path
        files = [place]
        if place.is_dir():
            files = [f for f in sorted(place.rglob("*")) if f.is_file() and not f.is_symlink()]
        if place != path and path.is_file() and random.random() < 0.6:
            files = [path]
        if not files or not files[0].is_file():
            break
        file = random.choice(files)
        harm = random.choice(HARM)
        # what a person names is there
        if file == path and harm in (renamed, bytes_name, gone):
            harm = changed
        said.append(f"{file.relative_to(path.parent)}: {harm(file, random)}")
    return "; ".join(said)
