"""Classes by name: which there are in each part, and one list that serves both.

Two folders numbered apart agree in nothing: of Image网's 20 training and 10 validation classes no
number is the same, and a perfect net would score exactly 0. So labels are matched by name, and a
class that is validated but never trained is an error.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.images.file_source import FileSource
from famulus.images.files import FilePart, Folder
from famulus.images.folders import UNLABELLED
from famulus.images.image_source import ImageSource
from famulus.images.splits import role_of

NONE = -1  # label of a picture without one


def match_labels(
    labels: np.ndarray, names: Sequence[str], wanted: Sequence[str], where: str = "labels"
) -> np.ndarray:
    """int64 positions in `wanted` of labels that are positions in `names`; NONE stays NONE.

    Raises DataError naming a class in use that `wanted` does not have.
    """
    position = {name: i for i, name in enumerate(wanted)}
    # -2 where a class is unknown to `wanted`, unlike -1, which belongs to no class at all.
    table = np.array([position.get(name, NONE - 1) for name in names] + [NONE], np.int64)
    matched = table[labels]  # -1 reads the last entry
    lacking = sorted({names[i] for i in labels[matched < NONE]})
    if lacking:
        raise DataError(
            f"{where}: class {lacking[0]!r} is not among the {len(wanted)} training classes"
            f" ({', '.join(list(wanted)[:6])}{', ...' if len(wanted) > 6 else ''})"
            + (f"; nor are {len(lacking) - 1} others" if len(lacking) > 1 else "")
        )
    return matched


def class_labels(source: ImageSource | FileSource) -> tuple[np.ndarray, tuple[str, ...]]:
    """(int64 B positions, class names). Raises DataError for pictures without classes."""
    if source.labels is None or source.classes is None:
        why = getattr(source.part, "unclear", "") or "received no classes"
        raise DataError(f"{source.part.label}: expected pictures in a folder a class: {why}")
    return source.labels, source.classes


def classes_in_use(source: ImageSource | FileSource) -> list[str]:
    """Names of the classes that `source` has a sample of, sorted. Raises DataError if none."""
    labels, classes = class_labels(source)
    return [classes[i] for i in sorted(set(labels[labels >= 0].tolist()))]


def class_notes(
    train: ImageSource | FileSource, validation: ImageSource | FileSource
) -> tuple[list[str], list[str]]:
    """(the training classes, notes on both parts).

    Raises DataError for a class of validation that training lacks.
    """
    names, held_out = classes_in_use(train), classes_in_use(validation)
    match_labels(*class_labels(validation), names, validation.part.label)
    notes = []
    if names != held_out:
        notes.append(
            f"{len(names)} classes in training, {len(held_out)} of them in validation: scores are"
            " of those, chance counts all"
        )
    for role, source in (("training", train), ("validation", validation)):
        labels, classes = class_labels(source)
        counts = np.bincount(labels[labels >= 0], minlength=len(classes))
        single = [n for n, c in zip(classes, counts, strict=True) if c == 1]
        if single:
            notes.append(f"{role}: only 1 picture of {', '.join(single[:6])}")
    return names, notes + empty_folders(train)


def empty_folders(source: ImageSource | FileSource) -> list[str]:
    """A line for class folders without a readable picture."""
    part = source.part
    if not isinstance(part, FilePart):
        return []
    notes = []
    if isinstance(part.files, Folder) and part.files.path.is_dir():  # a zip knows none
        holds = {Path(name).parent.as_posix() for name in part.files.names}
        for top in sorted(part.files.path.iterdir()):
            if role_of(top.name) not in ("train", "validation") or not top.is_dir():
                continue
            folders = sorted(f for f in top.iterdir() if f.is_dir())
            empty = [f.name for f in folders if not _holds(f"{top.name}/{f.name}", holds)]
            if empty:
                notes.append(f"{top.name}: no picture in the class folders {', '.join(empty[:6])}")
    if part.labels is not None and part.classes is not None:
        whole = np.bincount(part.labels[part.labels >= 0], minlength=len(part.classes))
        read = np.bincount(
            part.labels[source.kept][part.labels[source.kept] >= 0], minlength=len(part.classes)
        )
        lost = [n for n, a, b in zip(part.classes, whole, read, strict=True) if a and not b]
        if lost:
            notes.append(f"{part.label}: no readable picture of {', '.join(lost[:6])}")
    return notes


def _holds(folder: str, holds: set[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for name in holds)


def with_unlabelled(source: ImageSource | FileSource) -> ImageSource | FileSource:
    """The training pictures and those of a folder `unsup` (or `unlabelled`) beside it: label -1.

    Raises ConfigError if there is none.
    """
    part = source.part
    if not isinstance(part, FilePart):
        raise ConfigError("data.unlabelled: expected a folder or zip of picture files")
    extra = [n for n in part.files.names if set(n.lower().split("/")[:-1]) & set(UNLABELLED)]
    if not extra:
        raise ConfigError(
            f"data.unlabelled: expected a folder {' or '.join(UNLABELLED[:2])} in"
            f" {part.files.path}, found none"
        )
    labels = part.labels
    if labels is not None:
        labels = np.concatenate([labels, np.full(len(extra), NONE, np.int64)])
    label = f"{part.label}+unlabelled"
    whole = replace(part, label=label, names=[*part.names, *extra], labels=labels)
    return source.over(whole)
