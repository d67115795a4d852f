"""Where a NIfTI's voxels lie: which of its two affines is meant, and whether they agree.

Shapes: 4x4, from the file's index order (x, y, z, 1) to mm. Units: mm.
Source: NIfTI-1.1 standard, `qform_code` and `sform_code`: 0 says that there is no such affine, 1
that it leads to scanner coordinates.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SCANNER = 1
DEGREES, LENGTHS = 1.0, 0.01  # what rounding to quaternions can't make: another orientation

Form = Literal["sform", "qform"]


@dataclass(frozen=True)
class Placement:
    """`scanner`: the affine leads to scanner coordinates; `oriented`: the file says where it leads
    at all; `conflict`: what keeps both of its affines from being one, "" if they are."""

    affine: np.ndarray
    scanner: bool
    oriented: bool
    conflict: str = ""


def placed(image: Any, form: Form | None = None, needed: bool = True) -> Placement:
    """The affine to scanner coordinates if the file has one, else the one that it prefers; `form`
    names one instead, of a file that has it. Raises ValueError if it was needed and is not there,
    and for a damaged header."""
    header = image.header
    if not hasattr(header, "get_sform"):  # Analyze 7.5, which knows voxel sizes and nothing else
        if form is not None and needed:
            raise ValueError(f"has no {form}: it is an Analyze file")
        return Placement(np.asarray(image.affine, float), scanner=False, oriented=False)
    sform, s_code = header.get_sform(coded=True)
    qform, q_code = header.get_qform(coded=True)
    if form is not None:
        affine, code = (sform, s_code) if form == "sform" else (qform, q_code)
        if code:
            return Placement(np.asarray(affine, float), code == SCANNER, oriented=True)
        if needed:
            raise ValueError(f"has no {form}: its code is 0")
    conflict = ""
    # of a scanner's and a template's affine one alone tells where B0 is
    if s_code and q_code and (s_code == SCANNER) == (q_code == SCANNER):
        conflict = apart(np.asarray(sform, float), np.asarray(qform, float))
    if s_code == SCANNER:
        return Placement(np.asarray(sform, float), True, True, conflict)
    if q_code == SCANNER:
        return Placement(np.asarray(qform, float), True, True, conflict)
    return Placement(np.asarray(image.affine, float), False, bool(s_code or q_code), conflict)


def apart(first: np.ndarray, second: np.ndarray) -> str:
    """In what two affines differ: the largest angle between their axes, or the lengths of these.
    "" where they have one orientation; where they begin does not count."""
    lengths = [np.linalg.norm(a[:3, :3], axis=0) for a in (first, second)]
    if not np.isfinite(lengths).all() or min(v.min() for v in lengths) <= 0:
        return ""  # it spans no volume, which is said by itself
    along = (first[:3, :3] * second[:3, :3]).sum(0) / (lengths[0] * lengths[1])
    degrees = float(np.degrees(np.arccos(np.clip(along, -1, 1))).max())
    if degrees > DEGREES:
        return f"are {degrees:.3g} degrees apart"
    if not np.allclose(lengths[0], lengths[1], rtol=LENGTHS):
        sizes = [" x ".join(f"{side:.3g}" for side in v) for v in lengths]
        return f"have voxels of {sizes[0]} and of {sizes[1]} mm"
    return ""
