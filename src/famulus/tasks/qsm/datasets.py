"""Sets of susceptibility maps by name: generated shapes, the brain atlas, a folder of records."""

from functools import partial
from pathlib import Path

from famulus.config.errors import DataError
from famulus.feed.data_folder import data_folder, file_digest, require
from famulus.feed.source import Splits
from famulus.feed.streams import stream_seed
from famulus.tasks.qsm.phantoms import brain, shapes
from famulus.tasks.qsm.records import open_records
from famulus.tasks.qsm.source import Acquisition, VolumeSource

ATLAS = "brain-atlas"
ATLAS_FILES = ("labels.nii.gz", "mask.nii.gz", "T1.nii.gz", "labels.tsv")
GREY_MATTER = (6, 7, 8, 9, 10, 11, 12, 45)  # labels of the deep grey nuclei in the atlas
_TRAIN, _HELD_OUT = 1, 2  # no map of one split has a seed of the other


def open_qsm(
    name: str,
    size: int,
    voxel_mm: int,
    train: int,
    validation: int,
    seed: int,
    acquisition: Acquisition,
) -> Splits:
    """Training and held-out maps. In the atlas only the values differ: it is one anatomy.

    Raises DataError if files are missing or too few.
    """
    if name not in ("shapes", ATLAS):
        return _records(Path(name), float(voxel_mm), train, validation, seed, acquisition)
    notes = []
    if name == "shapes":
        make, identity = partial(_shapes, size, float(voxel_mm)), f"shapes-{size}-{voxel_mm}"
    else:
        folder = require(data_folder() / ATLAS, ATLAS)
        for file in ATLAS_FILES:
            require(folder / file, ATLAS)
        # of the files: another edition of the atlas is other data
        digests = "-".join(file_digest(folder / f)[:16] for f in ATLAS_FILES)
        make, identity = partial(_brain, folder, voxel_mm), f"{ATLAS}-{voxel_mm}-{digests}"
        # or a score on it would be read as one on new brains
        notes.append("brain-atlas: held-out maps have new values in the same anatomy")
    parts = (
        VolumeSource(
            make, [stream_seed(seed, part, i) for i in range(count)], acquisition, identity
        )
        for part, count in ((_TRAIN, train), (_HELD_OUT, validation))
    )
    return Splits(*parts, notes)


def _shapes(size: int, voxel_mm: float, seed: int):
    return shapes((size,) * 3, seed, voxel_mm)


def _brain(folder: Path, voxel_mm: int, seed: int):
    return brain(folder, seed, voxel_mm)


def _records(
    folder: Path, voxel_mm: float, train: int, validation: int, seed: int, acquisition: Acquisition
) -> Splits:
    if not folder.is_dir():
        raise DataError(f"data.name {folder}: expected shapes, {ATLAS} or a folder of .npz records")
    records = open_records(folder, voxel_mm, seed)
    if records.count < train + validation:
        raise DataError(
            f"data.name {folder}: {records.count} records are fewer than data.train + "
            f"data.validation = {train + validation}"
        )
    identity = f"records-{records.digest}-{voxel_mm:g}"
    # Held-out maps from the far end: more maps to train on must not move them.
    cut = records.count - validation
    rows = (list(range(train)), list(range(cut, records.count)))
    return Splits(
        *(VolumeSource(records.make, r, acquisition, identity) for r in rows), records.notes
    )
