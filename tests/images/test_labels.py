"""Labels of every usual form become the same positions."""

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.images.labels import positions

NUMBERS = np.array([2, 0, 1, 2, 1, 0])
TEXTS = np.array(["dog", "ape", "cat"])[NUMBERS]
FORMS = {
    "int": NUMBERS,
    "uint8": NUMBERS.astype(np.uint8),
    "column": NUMBERS[:, None],
    "one-hot": np.eye(3)[NUMBERS],
    "one-hot bool": np.eye(3, dtype=bool)[NUMBERS],
    "float": NUMBERS.astype(np.float32),
}


def one(labels, classes=None):
    answers, names, notes = positions({"train": labels}, classes, {"train": "x: y"})
    return answers["train"], names, notes


@pytest.mark.parametrize("case", FORMS)
def test_numbers_keep_their_value(case):
    labels, names, notes = one(FORMS[case])
    assert labels.tolist() == NUMBERS.tolist()
    assert labels.dtype == np.int64
    assert names == ("0", "1", "2")
    assert len(notes) == (case.startswith(("one-hot", "float")))


@pytest.mark.parametrize("labels", [TEXTS, TEXTS.astype(bytes), TEXTS[:, None]])
def test_texts_are_classes_sorted_by_name(labels):
    labels, names, _ = one(labels)
    assert names == ("ape", "cat", "dog")
    assert [names[i] for i in labels] == TEXTS.tolist()


def test_one_list_serves_both_splits():
    sides = {"train": np.array(["b", "c"]), "validation": np.array(["a", "b"])}
    answers, names, _ = positions(sides, None, {"train": "t", "validation": "v"})
    assert names == ("a", "b", "c")
    assert answers["validation"].tolist() == [0, 1]


def test_names_that_a_file_brings_are_kept():
    assert one(TEXTS, ("dog", "cat", "ape"))[0].tolist() == [
        ("dog", "cat", "ape").index(text) for text in TEXTS
    ]
    labels, names, _ = one(NUMBERS == 1, ("no", "yes"))
    assert [names[i] for i in labels] == ["yes" if n == 1 else "no" for n in NUMBERS]


REFUSED = {
    "negative": (NUMBERS - 1, None, "expected integer labels .* received -1 to 1"),
    "beyond": (NUMBERS, ("a", "b"), "0 to 1.* received 0 to 2"),
    "damaged": (NUMBERS.astype(np.uint64) + (1 << 63), None, "expected integer labels"),
    "half": (NUMBERS + 0.5, None, "received 2.5 at number 0: no class"),
    "NaN": (np.where(NUMBERS == 1, np.nan, NUMBERS), None, "received nan at number 2"),
    "float beyond": (NUMBERS * 1e300, None, "no class"),
    "several": (np.ones((6, 3), int), None, "expected one label a picture, or one-hot"),
    "none": (np.zeros((6, 3)), None, "or one-hot"),
    "three axes": (np.ones((6, 1, 1), int), None, "expected one label a picture"),
    "unknown text": (TEXTS, ("ape", "cat"), "'dog' is not among the 2 names"),
    "no UTF-8": (np.array([b"\xff"] * 6), None, "UTF-8"),
    "complex": (NUMBERS + 1j, None, "integers or texts"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_class_is_refused(case):
    labels, classes, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as error:
        one(labels, classes)
    assert str(error.value).startswith("x: y: ")


def test_kinds_do_not_mix():
    sides = {"train": NUMBERS, "validation": TEXTS}
    with pytest.raises(DataError, match=r"one kind, received t .* and v"):
        positions(sides, None, {"train": "t", "validation": "v"})
