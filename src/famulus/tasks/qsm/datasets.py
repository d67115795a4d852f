"""Sets of susceptibility maps by name: generated shapes, the brain atlas, a folder of records."""

from functools import partial
from pathlib import Path

from famulus.config.errors import DataError
from famulus.feed.data_folder import data_folder, file_digest, require
from famulus.feed.source import Splits
from famulus.feed.streams import stream_seed
from famulus.tasks.qsm.heads import SOLIDS, varied
from famulus.tasks.qsm.phantoms import Truth, brain, shapes
from famulus.tasks.qsm.records import open_records
from famulus.tasks.qsm.source import Acquisition, VolumeSource

ATLAS, VARIED = "brain-atlas", "varied"
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
    voxels_mm: tuple[float, ...] = (),
) -> Splits:
    """Training and held-out maps. In the atlas only the values differ: it is one anatomy; `varied`
    turns and bends it, in voxels of several sizes. Raises DataError if files are missing or few.
    """
    if name not in ("shapes", ATLAS, VARIED):
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
        if name == VARIED:
            make = partial(varied, folder, size, voxels_mm)
            sides = "-".join(f"{side:g}" for side in voxels_mm)
            identity = f"{VARIED}-{size}-{sides}-{digests}"
            notes.append("varied: held-out heads are the atlas's one, turned and bent otherwise")
        else:
            make, identity = partial(_brain, folder, voxel_mm), f"{ATLAS}-{voxel_mm}-{digests}"
            # or a score on it would be read as one on new brains
            notes.append("brain-atlas: held-out maps have new values in the same anatomy")
    kinds = SOLIDS * len(voxels_mm) or 1

    def seeds(part: int, count: int) -> list[int]:
        """By turns through the kinds of `varied`, so that few maps have all voxel sizes."""
        drawn = (stream_seed(seed, part, i) for i in range(count))
        return [one - one % kinds + i % kinds for i, one in enumerate(drawn)]

    of_train, held_out = (
        VolumeSource(make, seeds(part, count), acquisition, identity)
        for part, count in ((_TRAIN, train), (_HELD_OUT, validation))
    )
    return Splits(of_train, held_out, notes)


def _shapes(size: int, voxel_mm: float, seed: int) -> Truth:
    return shapes((size,) * 3, seed, voxel_mm)


def _brain(folder: Path, voxel_mm: int, seed: int) -> Truth:
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
