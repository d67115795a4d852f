"""Sets by name: where their files are, and how each is split. Nothing is decoded here.

`digits` comes with scikit-learn; the others lie under `FAMULUS_DATA` (see `data_folder`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.config.nearest import nearest
from famulus.feed.data_folder import data_folder, file_digest, require
from famulus.feed.regular_file import require_regular
from famulus.images.file_parts import file_parts
from famulus.images.files import Folder, Zip
from famulus.images.idx import read_idx
from famulus.images.idx_set import holds_idx, idx_parts, is_idx
from famulus.images.listing import SUFFIXES, TARS, suffix, volumes
from famulus.images.npz import npz_parts, refuse_npy
from famulus.images.parquet import holds_parquet, parquet_parts
from famulus.images.parts import ArrayPart, Part
from famulus.images.picture_table import table_parts
from famulus.images.splits import Wish
from famulus.images.table_rows import SUFFIXES as TABLES

ENDS = (".zip", ".npz", ".parquet", *TABLES)
EXPECTED = f"a folder, or a file {', '.join(ENDS)}"
FASHION = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Found:
    """A set's two parts; `own_split` is False where a hash of the names made them."""

    train: Part
    validation: Part
    own_split: bool
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, and rarely needed

    bunch = load_digits()
    return np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.int64)


def digits(wish: Wish) -> Found:
    """1,797 scanned digits 8x8, 0..16 scaled to 0..255: the first 1,437 train, 360 validate.

    They lie in the order of their writers, so a cut keeps most writers on one side.
    """
    images, labels = _digits()
    parts = []
    for role, piece in (("train", slice(0, 1437)), ("validation", slice(1437, None))):
        array, target = images[piece], labels[piece]
        # of the bytes: a library that changes its copy is seen
        digest = hashlib.sha256(array.tobytes() + target.tobytes()).hexdigest()
        names = [f"{role}/{i:05d}" for i in range(len(array))]
        parts.append(ArrayPart(f"digits/{role}", digest, names, target, DIGITS, array.view))
    return Found(parts[0], parts[1], True)


def idx_pair(name: str, folder: Path, classes: tuple[str, ...]) -> tuple[Part, Part]:
    """The four IDX files of MNIST in `folder`, gzipped or not; `t10k` validates."""
    train = _idx_part(name, folder, "train", "train", classes)
    return train, _idx_part(name, folder, "t10k", "validation", classes)


def _idx_part(name: str, folder: Path, stem: str, role: str, classes: tuple[str, ...]) -> Part:
    def find(rest: str) -> Path:
        plain = folder / f"{stem}-{rest}"
        return plain if plain.exists() else require(folder / f"{plain.name}.gz", name)

    pictures, answers = find("images-idx3-ubyte"), find("labels-idx1-ubyte")
    labels = read_idx(answers, axes=1).astype(np.int64)
    if len(labels) and labels.max() >= len(classes):
        raise DataError(f"{answers}: expected labels below {len(classes)}, got {labels.max()}")

    # Only when asked for: names, labels and digest need no pixels.
    def load() -> np.ndarray:
        images = read_idx(pictures, axes=3)
        if len(images) != len(labels):
            raise DataError(f"{pictures}: {len(images)} pictures, but {len(labels)} labels")
        return images

    digest = hashlib.sha256((file_digest(pictures) + file_digest(answers)).encode()).hexdigest()
    names = [f"{role}/{i:05d}" for i in range(len(labels))]
    return ArrayPart(f"{name}/{role}", digest, names, labels, classes, load)


def mnist(wish: Wish) -> Found:
    """Handwritten digits 28x28."""
    return Found(*idx_pair("mnist", data_folder() / "mnist", DIGITS), True)


def fashion_mnist(wish: Wish) -> Found:
    """Pictures of clothes 28x28, in the files' form of MNIST."""
    return Found(*idx_pair("fashion-mnist", data_folder() / "fashion-mnist", FASHION), True)


def packed(name: str) -> Path:
    """The folder of a named set, or its zip where there is no folder."""
    folder = data_folder() / name
    return folder if folder.is_dir() else require(data_folder() / f"{name}.zip", name)


def crawl_tiles(wish: Wish) -> Found:
    """Game tiles 32x32: colour times alpha (on black), without those under a quarter opaque.

    The first of their folders, of up to five, is the class.
    """
    return from_path(packed("crawl-tiles"), wish, min_alpha=0.25, deep=True)


def clothing(wish: Wish) -> Found:
    """Photographs of clothes in 10 classes; its folder `test` stays unused."""
    return from_path(packed("clothing"), wish)


def horse_or_human(wish: Wish) -> Found:
    """Rendered horses and humans. Its folders keep each figure on one side: 10 to 30 pictures
    show the same one, so a split by picture would validate on what was learned by heart."""
    return from_path(packed("horse-or-human"), wish)


def from_path(path: Path, wish: Wish, min_alpha: float = 0.0, deep: bool = False) -> Found:
    """A folder or zip of pictures, a table that names them, or arrays.

    `wish`: the share that validates where there is no split, or "test". `min_alpha`, `deep`: see
    `file_parts`. Raises DataError for what is none of these, or can't be read.
    """
    end = suffix(path.name)
    share, test = (None, True) if wish == "test" else (wish, False)
    if path.is_dir() or end == ".zip":
        files = Folder(path, file_digest) if path.is_dir() else Zip(path, file_digest)
        if holds_idx(files.listing.others):
            return Found(*idx_parts(path, share, test))
        if path.is_dir() and _of_parquet(files.listing.others) and holds_parquet(path):
            return Found(*parquet_parts(path, share, test))
        return Found(*file_parts(path.stem, files, wish, min_alpha, deep))
    require_regular(path)
    if end in TABLES:
        return Found(*table_parts(path, wish, file_digest))
    if end == ".npz":
        return Found(*npz_parts(path, share, test))
    if end == ".parquet":
        return Found(*parquet_parts(path, share, test))
    if end == ".npy":
        refuse_npy(path)
    raise DataError(f"{path}: expected {EXPECTED}; {_instead(path)}")


def _of_parquet(names: list[str]) -> bool:
    """Whether files of these names hold the pictures; `metadata.parquet` says of others."""
    tables = (name.rpartition("/")[2] for name in names if suffix(name) == ".parquet")
    return any(table != "metadata.parquet" for table in tables)


def _instead(path: Path) -> str:
    """What to do with a file that is no set."""
    name = path.name.lower()
    if is_idx(name):
        return f"one file of a set: name its folder, data.name: {path.parent}"
    if name.endswith(TARS):
        return "an archive of this kind is not opened: unpack it, and name the folder"
    if suffix(name) in SUFFIXES:
        return f"one picture is no set: name its folder, data.name: {path.parent}"
    return volumes([path.name]) or f"received a file {suffix(name) or 'without a suffix'}"


OWN_SPLIT = ("digits", "mnist", "fashion-mnist")  # two parts, and no third one
NAMED: dict[str, Callable[[Wish], Found]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "crawl-tiles": crawl_tiles,
    "clothing": clothing,
    "horse-or-human": horse_or_human,
}


def find(name: str, wish: Wish = None) -> Found:
    """The set `name`: one of `NAMED`, a path, or what lies under that name below the data folder.

    `wish`: the share that validates where the set has no split, or "test".
    Raises ConfigError with the nearest name, DataError if a path or the set's files are missing.
    """
    # names first: a folder called mnist in the working directory must not change a run
    if name in NAMED:
        if wish == "test" and name in OWN_SPLIT:
            raise DataError(f"data.validation: test: {name} has no test split; leave it out")
        return NAMED[name](wish)
    places = [Path(name), *(data_folder() / f"{name}{end}" for end in ("", *ENDS))]
    try:
        places[0] = places[0].expanduser()
        place = next((place for place in places if place.exists()), None)
    except (OSError, RuntimeError) as error:  # too long, not allowed, no such user's home
        raise DataError(f"data.name: {name:.200}: can't be read ({error})"[:400]) from error
    if place is not None:
        return from_path(place, wish)
    # A path was meant: the nearest name of a set would be no help.
    if "/" in name or name.lower().endswith((*ENDS, *TARS, *SUFFIXES)):
        raise DataError(f"data.name: expected {EXPECTED}; {name} does not exist")
    near = nearest(name, NAMED)
    hint = f": did you mean {near!r}?" if near else ""
    raise ConfigError(
        f"data.name: expected one of {', '.join(NAMED)}, or a path; received {name!r}{hint}"
    )
