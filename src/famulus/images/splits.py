"""What names alone tell of splits: which one a folder is, and on which side a sample lies."""

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

HELD_OUT = 0.05  # where a set has no split of its own
Role = Literal["train", "validation", "test"]
# what an experiment says of validation before anything is read: a share, or the test split
Wish = float | Literal["test"] | None
ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "tests", "testing"), "test"),
}
_NAME = re.compile(r"([a-z]+?)(sets?|images?|imgs?|data|split)?\d{0,4}")  # train_set, val2017


def plain(name: str) -> str:
    """`trainset` of `Train_Set`: file systems and people differ in case and in what joins words."""
    return re.sub(r"[ ._-]+", "", name.lower())


@lru_cache(maxsize=65536)  # asked for the folders of each of millions of pictures
def role_of(name: str) -> Role | None:
    """train, validation or test, where the name of a folder, file or column's value says so."""
    match = _NAME.fullmatch(plain(name))
    return ROLES.get(match[1]) if match else None


def hashed(name: str) -> float:
    """A fixed number from 0 to below 1 for a name: adding files moves no other across."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    # 56 bits are more than a float holds: the largest would round to 1
    return min(int.from_bytes(digest[:7]) / (1 << 56), math.nextafter(1, 0))


def held_out(names: Sequence[str], share: float) -> np.ndarray:
    """bool, one for each name: True where it validates."""
    return np.array([hashed(name) < share for name in names], bool)
