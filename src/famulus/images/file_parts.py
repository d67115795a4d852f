"""The two parts of a set of picture files, and the class of each picture: from names alone."""

from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.files import FilePart, PictureFiles
from famulus.images.folders import Layout, few, layout, pictures, tree
from famulus.images.listing import TARS, volumes
from famulus.images.splits import HELD_OUT, Wish, held_out

Side = dict[str, str]  # names of pictures, each with its path below the split


def file_parts(
    label: str,
    files: PictureFiles,
    wish: Wish,
    min_alpha: float = 0.0,
    deep: bool = False,
) -> tuple[FilePart, FilePart, bool, list[str]]:
    """(train, validation, whether the split is the set's own, notes).

    Folders `train` and `validation` decide (see `folders`), or `train` and `test` where the wish
    is "test"; else a share of `train` validates, by the hash of the file name. The folder below is
    the class; where the depth differs, no classes are read, unless `deep` says that the first
    folder is meant. Raises DataError if either side is empty, or no splits are clear.
    """
    if not files.names:
        raise DataError(f"{files.path}: {_nothing(files)}")
    sides = layout(files.path, files.names)
    notes = files.listing.notes(label)
    told = [*sides.notes]
    train, valid, own = split_sides(files.path, sides, wish, told)
    train, valid, classes, unclear = _classes(train, valid, deep, told)
    # One list for both parts: numbered apart, their labels would agree in nothing.
    position = {name: i for i, name in enumerate(classes or ())}
    parts = []
    for role, side in (("train", train), ("validation", valid)):
        labels = None
        if classes is not None:
            folders = (inner.partition("/")[0] for inner in side.values())
            labels = np.array([position[folder] for folder in folders], np.int64)
        names = list(side)
        parts.append(
            FilePart(f"{label}/{role}", files, names, labels, classes, min_alpha, unclear=unclear)
        )
    return parts[0], parts[1], own, notes + [f"{label}: {line}" for line in told]


def _nothing(files: PictureFiles) -> str:
    listing = files.listing
    archives = [
        name for names in listing.reasons.values() for name in names
        if name.lower().endswith((".zip", *TARS))
    ]  # fmt: skip
    if archives:
        return f"expected pictures, received archives ({few(archives)}): unpack them"
    others = [*([listing.kinds()] if listing.others else [])]
    others += [f"{few(names)}: {reason}" for reason, names in listing.reasons.items()]
    hint = volumes(listing.others)
    return (
        f"expected pictures (png, jpg, ...), received {'; '.join(others) or 'none'}"
        f"{'; ' if hint else ''}{hint}"
    )


def split_sides(path: Path, sides: Layout, wish: Wish, notes: list[str]) -> tuple[Side, Side, bool]:
    """(train, validation, whether the split is the set's own); `notes` grow.

    Raises DataError if either side is empty, or where the wish is "test" and there is none.
    """
    by_test = wish == "test"
    if by_test and not sides.test:
        has = "train and validation" if sides.validation else "no folder test"
        raise DataError(
            f"data.validation: test: expected a folder test beside train in {path}, found {has}; "
            "leave data.validation out"
        )
    valid, aside = (sides.test, sides.validation) if by_test else (sides.validation, sides.test)
    if valid:
        unused = sum(sides.unused.values()) + len(aside)
        others = {*sides.unused, *(["validation" if by_test else "test"] if aside else [])}
        if unused:
            role = "test" if by_test else "validation"
            listed = few(sorted(others))
            notes.append(f"{unused} pictures outside train and {role} unused: {listed}")
        return sides.train, valid, True
    if sides.unused:
        count = pictures(sum(sides.unused.values()))
        notes.append(f"left out {count} in no split: {few(sorted(sides.unused))}")
    share = HELD_OUT if wish is None or wish == "test" else wish
    if sides.test:
        notes.append(
            f"{pictures(len(sides.test))} of the test split left alone: {share:.3g} of train "
            "validates, by a hash of the names; data.validation: test validates on them"
        )
    # Of the path below the split: where a set was unpacked must not move a picture across.
    out = held_out(list(sides.train.values()), share)
    pairs = list(zip(sides.train.items(), out, strict=True))
    train, valid = (dict(row for row, o in pairs if o == side) for side in (False, True))
    if not train or not valid:
        raise DataError(
            f"{path}: too few pictures to split: {len(train)} to train, {len(valid)} to "
            "validate; add some, or make folders train and validation"
        )
    return train, valid, False


def _classes(
    train: Side, valid: Side, deep: bool, notes: list[str]
) -> tuple[Side, Side, tuple[str, ...] | None, str]:
    """(train, validation, their classes, why there are none where one would expect some)."""
    sides = [train, valid]
    loose = [[name for name, inner in side.items() if "/" not in inner] for side in sides]
    counts = [len(side) for side in sides]
    if sum(map(len, loose)) == sum(counts):
        return train, valid, None, ""
    # All loose on one side is a split without classes, and not some strays.
    if any(2 * len(out) > n for out, n in zip(loose, counts, strict=True)):
        folders = tree(name for side in sides for name, inner in side.items() if "/" in inner)
        why = (
            f"no classes: {pictures(sum(map(len, loose)))} of {sum(counts):,} in no class folder, "
            f"beside folders with pictures: {folders}"
        )
        notes.append(why)
        return train, valid, None, why
    strays = [name for out in loose for name in out]
    if strays:
        notes.append(f"left out {pictures(len(strays))} beside the class folders: {few(strays)}")
        without = set(strays)
        train, valid = ({n: i for n, i in side.items() if n not in without} for side in sides)
    inners = [*train.values(), *valid.values()]
    depths = {inner.count("/") for inner in inners}
    if len(depths) > 1 and not deep:
        deeper = [i for i in inners if i.count("/") > min(depths)]
        why = (
            f"no classes: {pictures(len(deeper))} lie in folders inside class folders, "
            f"{tree(deeper)}, and {len(inners) - len(deeper):,} do not: expected one folder a "
            "class, all of one depth; or a table (.csv) with columns path and label"
        )
        notes.append(why)
        return train, valid, None, why
    if depths != {1} and not deep:
        notes.append(f"the class is the first of {min(depths)} folders: {tree(inners)}")
    return train, valid, tuple(sorted({inner.partition("/")[0] for inner in inners})), ""
