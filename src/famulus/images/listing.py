"""Which files of a folder or zip are pictures; all others are counted or named, none vanishes.

Hidden files and those that macOS packs beside each picture (`__MACOSX`) are no one's data: they
alone are passed over without a word.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from famulus.config.errors import DataError
from famulus.images.decoding import FORMATS
from famulus.images.parts import left_out_notes

# of FORMATS; what has no suffix is known by its first bytes
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".tga"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
)
DICOM = (".dcm", ".dicom")
VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", *DICOM)
TARS = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.zst"),
    *(".7z", ".rar"),
)
MAX_FILES = 5_000_000
MAX_LINKS = 10_000  # to folders: links that lead to each other multiply
DEEPEST = 32  # folders below folders
SHOWN = 8  # suffixes that a note names
Identity = tuple[int, int]  # of a folder: its device and its number there


def suffix(name: str) -> str:
    """`.jpg` of `a/b.JPG`, "" where there is none."""
    stem, dot, end = name.rpartition("/")[2].rpartition(".")
    return f".{end.lower()}" if stem and dot and end else ""


def hidden(name: str) -> bool:
    """Whether any part of a relative name is hidden, or of macOS's own."""
    return any(piece.startswith((".", "__MACOSX")) for piece in name.split("/"))


class Listing:
    """`names` of the pictures; `others`, files of another kind; and what can't be read, by reason.

    Add files by `add`, then `sort` once.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.others: list[str] = []
        self.reasons: dict[str, list[str]] = {}

    def add(self, name: str, opener: Callable[[str], BinaryIO]) -> bool:
        """Sort a file in by its suffix, or by its first bytes; whether it is a picture."""
        if len(self.names) + len(self.others) >= MAX_FILES:
            raise DataError(f"expected at most {MAX_FILES:,} files, received more")
        end = suffix(name)
        picture = end in SUFFIXES or (not end and _is_picture(name, opener))
        if picture:
            self.names.append(name)
        elif name.lower().endswith((".zip", *TARS)):
            self.leave("an archive in it is not opened: unpack it", name)
        else:
            self.others.append(name)
        return picture

    def leave(self, reason: str, name: str) -> None:
        """Leave out one file or folder, by its name."""
        self.reasons.setdefault(reason, []).append(name)

    def sort(self) -> None:
        """File systems and archives have an order of their own."""
        for names in (self.names, self.others, *self.reasons.values()):
            names.sort()

    def notes(self, label: str) -> list[str]:
        """What was left out: by name where there is a reason, else counted by suffix."""
        return left_out_notes(label, self.reasons) + self._counted(label)

    def kinds(self) -> str:
        """`.txt (9), .xml (3)`: suffixes of the files that are no pictures."""
        counts = Counter(_shown(suffix(name)) for name in self.others)
        rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
        more = f" and {len(rows) - SHOWN} other kinds" if len(rows) > SHOWN else ""
        return ", ".join(f"{end} ({n:,})" for end, n in rows[:SHOWN]) + more

    def _counted(self, label: str) -> list[str]:
        if not self.others:
            return []
        n = len(self.others)
        return [f"{label}: left out {n:,} file{'s' * (n > 1)}: {self.kinds()}"]


def volumes(names: Iterable[str]) -> str:
    """What to do with files that are volumes and no pictures, or nothing."""
    first = next((name for name in names if name.lower().endswith(VOLUMES)), None)
    if first is None:
        return ""
    what = "the folder of one series" if first.lower().endswith(DICOM) else f"one, as {first}"
    return f"these are volumes: for task scroll name {what}"


def _shown(end: str) -> str:
    if not end:
        return "no suffix"
    return end if end.isprintable() and len(end) <= 16 else "other"


def _is_picture(name: str, opener: Callable[[str], BinaryIO]) -> bool:
    try:
        with opener(name) as file, Image.open(file, formats=[f for f in FORMATS if f != "TGA"]):
            return True  # TGA has no first bytes of its own: anything might pass for it
    except Exception:  # a decoder may raise nearly anything at what is no picture
        return False


def folder_files(top: Path, leave: Callable[[str, str], None]) -> Iterator[str]:
    """Relative POSIX names of the regular files below `top`, links followed, in no order.

    `leave(reason, name)` is called for what is none: dangling links, links to a folder that they
    lie in, FIFOs and devices, folders that can't be read.
    Raises DataError if there are too many links, or if `top` itself can't be read.
    """
    links = 0
    # each folder with the identities of those that it lies in, and its own
    pending: list[tuple[str, tuple[Identity, ...]]] = [("", (_identity(os.stat(top)),))]
    while pending:
        folder, above = pending.pop()
        try:
            with os.scandir(top / folder) as entries:
                listed = [entry for entry in entries if not hidden(entry.name)]
        except OSError as error:
            if not folder:
                raise DataError(f"{top}: can't be read ({error.strerror or error})") from error
            leave(error.strerror or str(error), folder)
            continue
        for entry in listed:
            name = folder + entry.name
            # of a plain file the folder itself tells its kind: no call a file
            if entry.is_file(follow_symlinks=False):
                yield name
                continue
            try:
                status = os.stat(top / name)
            except FileNotFoundError:
                leave("a link to what does not exist", name)
                continue
            except OSError as error:
                leave(error.strerror or str(error), name)
                continue
            if stat.S_ISREG(status.st_mode):
                yield name
            elif not stat.S_ISDIR(status.st_mode):
                leave("a FIFO, socket or device, not a regular file", name)
            elif _identity(status) in above:
                leave("a link to a folder that it lies in", name)
            elif len(above) > DEEPEST:
                leave(f"more than {DEEPEST} folders deep", name)
            else:
                links += entry.is_symlink()
                if links > MAX_LINKS:
                    raise DataError(f"{top}: expected at most {MAX_LINKS:,} links to folders")
                pending.append((f"{name}/", (*above, _identity(status))))


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
