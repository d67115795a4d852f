"""Which files of a folder are a scan's phases and magnitudes, by their names alone.

BIDS has `part-phase` and `part-mag`, dcm2niix `_ph` or nothing at the end, others say the words.
"""

import re
from pathlib import Path

from famulus.config.errors import DataError
from famulus.volumes import nifti

# of a phase, and what its magnitude has in that place
NAMES = (
    (re.compile(r"part-phase", re.IGNORECASE), ("part-mag",)),
    (re.compile(r"_ph$", re.IGNORECASE), ("", "_mag")),
    (re.compile(r"phase", re.IGNORECASE), ("mag", "magnitude")),
)
EXPECTED = "files named *part-phase*.nii.gz with *part-mag*.nii.gz (or phase and mag) in its place"
ECHO = re.compile(r"(?:echo-?|_e)(\d+)")
NAMED = 3  # of what is wrong


def paired(folder: Path) -> list[tuple[Path, Path]]:
    """(phase, magnitude) of each echo of one scan, by the number of the echo, else by name.

    Raises DataError, before anything is read, for a folder without such files, for a phase without
    a magnitude, and for the files of several scans.
    """
    files = {nifti.stem_of(p).name: p for p in _files(Path(folder))}
    known = ((m, o, [n for n in files if m.search(n)]) for m, o in NAMES)
    mark, others, phases = next((row for row in known if row[2]), (None, (), []))
    if mark is None:
        raise DataError(f"{folder}: expected {EXPECTED}, found none")
    scans = sorted({_scan(name) for name in phases})
    if len(scans) > 1:
        raise DataError(
            f"{folder}: holds {len(scans)} scans: {_some(scans)}: expected one, in a folder of its "
            "own"
        )
    lower = {name.lower(): path for name, path in files.items()}
    beside = {
        name: [lower.get(mark.sub(other, name).lower()) for other in others] for name in phases
    }
    found = {name: next((p for p in row if p is not None), None) for name, row in beside.items()}
    alone = [name for name in phases if found[name] is None]
    if alone:
        wanted = " or ".join(mark.sub(other, alone[0]) for other in others)
        raise DataError(
            f"{folder}: no magnitude for {_some(alone)}: expected {wanted}.nii.gz beside it"
        )
    order = sorted(phases, key=lambda name: (_echo(name), name))
    return [(files[name], p) for name in order if (p := found[name]) is not None]


def _files(folder: Path) -> list[Path]:
    """NIfTI files; of a pair its header."""
    one = tuple(s for s in nifti.SUFFIXES if ".img" not in s)
    return [
        p for p in sorted(folder.iterdir()) if p.name.lower().endswith(one) and p.name[0] != "."
    ]


def _scan(name: str) -> str:
    """Whose it is, by BIDS's entities: all but the echo and the part."""
    entities = [e for e in name.split("_") if re.fullmatch(r"[a-zA-Z]+-[^-]+", e)]
    return "_".join(e for e in entities if e.split("-")[0].lower() not in ("echo", "part"))


def _echo(name: str) -> int:
    found = ECHO.search(name.lower())
    return int(found[1]) if found else 0


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
