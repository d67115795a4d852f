"""Which of a set's own splits validates. For sets that say themselves what is train and test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.splits import HELD_OUT, held_out


@dataclass(frozen=True)
class RoleSplit:
    """`validation`: the split that validates; `train` where a hash holds out a share of it, with
    `held_out` bool, one for each of its samples."""

    validation: str
    held_out: np.ndarray | None
    notes: list[str]

    @property
    def own(self) -> bool:
        return self.held_out is None


def by_name(path: Path, notes: Iterable[str]) -> list[str]:
    """Notes with the set's name in place of its whole path, which pages need not show."""
    return [note.replace(str(path), path.name) for note in notes]


def role_split(path: Path, counts: Mapping[str, int], share: float | None, test: bool) -> RoleSplit:
    """How the splits of `counts` (train, and maybe validation and test) are used.

    Test is never trained on, and validates only if `test` asks for it. Without validation a hash
    of the positions in train holds out `share`. Raises DataError if a split that it takes is empty.
    """
    label, notes, mask = path.stem, [], None
    if "train" not in counts:
        raise DataError(f"{path}: expected pictures to train on, received {', '.join(counts)} only")
    if test and "test" not in counts:
        raise DataError(
            f"{path}: data.validation is test: expected a test split, received {', '.join(counts)}"
        )
    if test:
        validation = "test"
        if "validation" in counts:
            notes.append(
                f"{label}: {counts['validation']:,} pictures of validation left out: "
                "data.validation is test"
            )
    elif "validation" in counts:
        validation = "validation"
    else:
        validation = "train"
        mask = held_out([str(i) for i in range(counts["train"])], share or HELD_OUT)
    if "test" in counts and not test:
        how = "" if mask is None else ", a hash split of train validates"
        notes.append(
            f"{label}: {counts['test']:,} pictures of test left alone{how}: "
            "`data.validation: test` validates on them"
        )
    train, valid = counts["train"], counts[validation]
    if mask is not None:
        train, valid = int((~mask).sum()), int(mask.sum())
    if not train or not valid:
        raise DataError(
            f"{path}: too few pictures to split: {train} to train, {valid} to validate: add some, "
            "or a validation split"
        )
    return RoleSplit(validation, mask, notes)
