"""Which split each picture of a set belongs to, from the folders that it lies in.

Splits stand at the top (`train/cats/1.png`), below one folder that all share, or below the class
(`cats/train/1.png`). What lies otherwise is refused with the folders that are there: a picture of
a test split must never be trained on because its folder was not recognised.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from famulus.config.errors import DataError
from famulus.images.splits import ROLES, plain, role_of

IMAGES = ("image", "images", "img", "imgs", "picture", "pictures", "photos", "jpegimages")
MASKS = (
    *("mask", "masks", "label", "labels", "annotation", "annotations", "annots", "gt", "gts"),
    *("segmentation", "segmentations", "segmentationclass", "segmentationobject", "seg", "segs"),
    *("groundtruth", "groundtruths", "target", "targets"),
)
UNLABELLED = ("unsup", "unlabelled", "unlabeled", "unsupervised")
SHOWN = 8  # folders of a tree, names in a list


@dataclass(frozen=True)
class Layout:
    """Of each role the pictures: their names, and the path below the split (`cats/1.png`).

    `unused`: how many pictures lie in folders that are no split; `notes` without the set's name.
    """

    train: dict[str, str]
    validation: dict[str, str] = field(default_factory=dict)
    test: dict[str, str] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def layout(path: Path, names: Sequence[str]) -> Layout:
    """The splits of a set whose pictures are `names`, relative and sorted, at least one.

    Without splits all are in `train`. Raises DataError, with the tree, for splits that are not
    clear, and for a test split alone.
    """
    notes: list[str] = []
    inputs = _without_masks(names, notes)
    inputs, strip = _without_stray(inputs, notes)
    _shared_folder(path, inputs[0][:strip], notes)
    tops = _children(inputs, strip)
    if any(role_of(top) for top in tops):
        return _at_the_top(path, inputs, strip, notes)
    if any(role_of(child) for top in tops for child in _children(tops[top], strip + len(top) + 1)):
        return _below_classes(path, inputs, strip, notes)
    for name in inputs:
        if any(role_of(f) in ("validation", "test") for f in name[strip:].split("/")[:-1]):
            raise _unclear(path, inputs, f"a folder of {name} has a split's name")
    return Layout({name: name[strip:] for name in inputs}, notes=notes)


def tree(names: Iterable[str], strip: int = 0) -> str:
    """`./ (1), cats/ (30 in old, new)`: folders, the pictures in each, and the folders in it."""
    counts, inside = Counter[str](), defaultdict[str, set[str]](set)
    for name in names:
        top, *below = name[strip:].split("/")[:-1] or ["."]
        counts[top] += 1
        inside[top].update(below[:1])
    rows = []
    for top, n in sorted(counts.items()):
        folders = f" in {few(sorted(inside[top]), 4)}" if inside[top] else ""
        rows.append(f"{top}/ ({n:,}{folders})")
    return few(rows)


def few(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first names of many."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def pictures(count: int) -> str:
    """`1 picture`, `2,000 pictures`."""
    return f"{count:,} picture{'s' * (count != 1)}"


def _unclear(path: Path, names: Sequence[str], what: str) -> DataError:
    return DataError(
        f"{path}: {what}; found {tree(names, _common(names))}: expected folders train and "
        "validation (or test) at the top, or none at all, and a folder a class below: move or "
        "rename folders"
    )


def _common(names: Sequence[str]) -> int:
    """Length of the folders that all names start with: a set packed inside one more folder."""
    # In order of names the first and the last differ wherever any two do.
    first, last = min(names), max(names)
    same = 0
    for i, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            break
        if a == "/":
            same = i + 1
    return same


def _children(names: Iterable[str], strip: int) -> dict[str, list[str]]:
    """Names by the folder at this place of their path; a file that lies in none is in no list."""
    folders = defaultdict(list)
    for name in names:
        folder, slash, _ = name[strip:].partition("/")
        if slash:
            folders[folder].append(name)
    return dict(folders)


def _masks(folder: str) -> bool:
    """Whether a folder is named as one of answers to pictures; `train_masks` is, too."""
    name = plain(folder)
    return any(name.removeprefix(role).removesuffix(role) in MASKS for role in ("", *ROLES))


def _without_masks(names: Sequence[str], notes: list[str]) -> list[str]:
    """The names outside of folders of answers. Beside no folder of inputs such a name is a class:
    `mask` beside `no_mask`."""
    inside: dict[str, set[str]] = defaultdict(set)
    for folder in {name.rpartition("/")[0] for name in names}:
        pieces = folder.split("/")
        for i, piece in enumerate(pieces):
            inside["".join(f"{p}/" for p in pieces[:i])].add(piece)
    answers = tuple(
        f"{parent}{child}/"
        for parent, children in inside.items()
        if any(plain(child) in IMAGES or role_of(child) for child in children)
        for child in children
        if _masks(child)
    )
    kept = [name for name in names if not name.startswith(answers)]
    if len(kept) < len(names):
        lost = tree(name for name in names if name.startswith(answers))
        count = pictures(len(names) - len(kept))
        notes.append(f"left out {count} in folders of masks or labels: {lost}")
    return kept


def _without_stray(names: list[str], notes: list[str]) -> tuple[list[str], int]:
    """(names, the common length): without the few pictures beside the one folder that holds all
    others, which would hide the splits or classes in it."""
    strip = _common(names)
    tops = _children(names, strip)
    loose = [name for name in names if "/" not in name[strip:]]
    if len(tops) != 1 or not loose or 2 * len(loose) > len(names):
        return names, strip
    notes.append(f"left out {pictures(len(loose))} beside the only folder: {few(loose)}")
    (names,) = tops.values()
    return names, _common(names)


def _shared_folder(path: Path, shared: str, notes: list[str]) -> None:
    """What the folders tell that all pictures share."""
    roles = [role for folder in shared.split("/") if (role := role_of(folder))]
    if roles[-1:] == ["test"]:
        raise DataError(
            f"{path}: expected pictures to train on, received a test split alone ({shared}), which "
            "is never trained on: add a folder train, or rename this one"
        )
    if roles[-1:] == ["validation"]:
        notes.append(
            f"no folder train: the pictures in {shared} are split by a hash of their names"
        )


def _at_the_top(path: Path, names: list[str], strip: int, notes: list[str]) -> Layout:
    parts: dict[str, dict[str, str]] = {"train": {}, "validation": {}, "test": {}}
    unused = Counter[str]()
    for name in names:
        top, _, inner = name[strip:].partition("/")
        role = role_of(top) if inner else None
        if role:
            parts[role][name] = inner
        else:
            unused[top] += 1
    if not parts["train"]:
        raise _unclear(path, names, "no folder train")
    extra = {folder for folder in unused if plain(folder) not in UNLABELLED}
    if not parts["validation"] and not parts["test"] and extra:
        raise _unclear(path, names, f"folder train beside {few(sorted(extra))}")
    folders = [_first_folders(part) for part in parts.values()]
    if any(len({role_of(folder) for folder in part} - {None}) > 1 for part in folders):
        raise _unclear(path, names, "splits inside a split")
    train, validation, test = map(_unwrapped, parts.values())
    return Layout(train, validation, test, dict(unused), notes)


def _first_folders(part: dict[str, str]) -> set[str]:
    """The folders right below a split; "" stands for the pictures in none."""
    return {inner.rpartition("/")[0].partition("/")[0] for inner in part.values()}


def _unwrapped(part: dict[str, str]) -> dict[str, str]:
    """`cats/1.png` of `train/images/cats/1.png`: one folder `images` in a split is no class."""
    folders = _first_folders(part)
    if len(folders) == 1 and plain(min(folders)) in IMAGES:
        return {name: inner.partition("/")[2] for name, inner in part.items()}
    return part


def _below_classes(path: Path, names: list[str], strip: int, notes: list[str]) -> Layout:
    """`cats/train/1.png`, in every class."""
    parts: dict[str, dict[str, str]] = {"train": {}, "validation": {}, "test": {}}
    for name in names:
        folders = name[strip:].split("/")
        role = role_of(folders[1]) if len(folders) == 3 else None
        if role is None:
            raise _unclear(path, names, "splits in some folders only, or at different depths")
        parts[role][name] = f"{folders[0]}/{folders[2]}"
    if not parts["train"]:
        raise _unclear(path, names, "no folder train")
    train, validation, test = parts.values()
    return Layout(train, validation, test, notes=notes)
