"""Sets in one `.npz`, read without pickle.

Keys: `train_images` and `validation_images`, uint8 BHW or BHWC, or `images` alone (split by a hash
of the position); optional `train_labels` and `validation_labels`, or `labels`, integers B; optional
`classes`, strings. `famulus data convert` writes the first form.
"""

import hashlib
import math
import zipfile
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.parts import ArrayPart
from famulus.images.splits import HELD_OUT, held_out

MAX_BYTES = 8 << 30  # of all arrays that are read, unpacked
KEYS = {
    *("images", "labels", "classes"),
    *(f"{role}_{what}" for role in ("train", "validation") for what in ("images", "labels")),
}


def _sizes(path: Path) -> dict[str, int]:
    """Bytes that each array will take, from the headers; checked against what the file holds."""
    sizes = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as file:
                version = np.lib.format.read_magic(file)
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
                shape, _, dtype = read(file)
            # Only pickle could read them.
            if dtype.hasobject:
                raise DataError(f"{path}: {info.filename} holds Python objects: not read")
            sizes[info.filename] = math.prod(shape) * dtype.itemsize
            # A header may claim any size, and NumPy would allocate it before it reads.
            if not sizes[info.filename] <= info.file_size:
                raise DataError(f"{path}: {info.filename}: size {shape} is not what it holds")
    return sizes


def _key(member: str) -> str:
    return member.removesuffix(".npy")


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        total = sum(size for name, size in _sizes(path).items() if _key(name) in KEYS)
        if total > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, received {total:,}")
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in KEYS}
    except DataError:
        raise
    except Exception as error:  # damaged zip, damaged header, unsupported version
        raise DataError(f"{path}: cannot be read as npz ({error})") from error


def npz_parts(path: Path, digest: str, share: float | None) -> tuple[ArrayPart, ArrayPart, bool]:
    """(train, validation, whether the split is the file's own).

    Raises DataError naming the keys that are there, or the array that is not as expected.
    """
    arrays = _read(path)
    own = "train_images" in arrays and "validation_images" in arrays
    if not own and "images" not in arrays:
        raise DataError(
            f"{path}: expected train_images and validation_images, or images; "
            f"received {', '.join(map(_key, _sizes(path))) or 'nothing'}"
        )
    classes = tuple(map(str, arrays["classes"])) if "classes" in arrays else None
    if own:
        sides = {
            role: (arrays[f"{role}_images"], arrays.get(f"{role}_labels"))
            for role in ("train", "validation")
        }
    else:
        out = held_out([str(i) for i in range(len(arrays["images"]))], share or HELD_OUT)
        labels = arrays.get("labels")
        if labels is not None and len(labels) != len(out):
            raise DataError(f"{path}: {len(out)} images, but {len(labels)} labels")
        sides = {
            role: (arrays["images"][side], None if labels is None else labels[side])
            for role, side in (("train", ~out), ("validation", out))
        }
    answers = [labels for _, labels in sides.values() if labels is not None]
    both = len(answers) == len(sides)
    if both and classes is None:
        top = max(int(labels.max(initial=0)) for labels in answers)
        # Bounded: one damaged label must not make billions of names.
        classes = tuple(str(i) for i in range(min(top, 1 << 20) + 1))
    parts = [
        _part(path, role, digest, images, labels if both else None, classes)
        for role, (images, labels) in sides.items()
    ]
    return parts[0], parts[1], own


def _part(
    path: Path,
    role: str,
    digest: str,
    images: np.ndarray,
    labels: np.ndarray | None,
    classes: tuple[str, ...] | None,
) -> ArrayPart:
    colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or colour) or not images.size:
        raise DataError(
            f"{path}: {role}: expected uint8 images BHW or BHW3, at least one, "
            f"received {images.dtype} {images.shape}"
        )
    if labels is not None:
        fits = labels.shape == (len(images),) and labels.dtype.kind in "iu"
        if not fits or classes is None or labels.min() < 0 or labels.max() >= len(classes):
            raise DataError(
                f"{path}: {role}: expected {len(images)} integer labels, 0 up to the number of "
                f"classes, received {labels.dtype} {labels.shape}"
            )
        labels = labels.astype(np.int64)
    names = [f"{role}/{i:05d}" for i in range(len(images))]
    own = hashlib.sha256(f"{digest}/{role}/{len(images)}".encode()).hexdigest()
    return ArrayPart(
        f"{path.stem}/{role}",
        own,
        names,
        labels,
        None if labels is None else classes,
        lambda: images,
    )
