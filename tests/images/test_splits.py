"""Names of splits, and the fixed number that a hash gives to a name."""

import hashlib

import pytest

from famulus.images import splits


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("train", "train Training TRAIN train_set train-set trainset Train_Sets train2017"),
        ("validation", "val valid validation Valid dev val_set validation-set devset val2017"),
        ("test", "test testing tests TEST test_set testset test-set test_images test1"),
        (None, "trains contest cats validated latest developer testament set data images 2017"),
    ],
)
def test_usual_names_are_splits_and_others_are_not(role, names):
    assert {splits.role_of(name) for name in names.split()} == {role}


def test_no_digest_is_hashed_to_one(monkeypatch):
    class Full:
        def __init__(self, *_):
            pass

        def digest(self):
            return b"\xff" * 32

    usual = {name: splits.hashed(name) for name in map(str, range(2000))}
    for name, value in usual.items():
        digest = hashlib.sha256(name.encode()).digest()
        # independent: the first 56 bits as a fraction
        assert value == int.from_bytes(digest[:7]) / 2**56
    monkeypatch.setattr(splits.hashlib, "sha256", Full)
    assert 1 - 2**-50 < splits.hashed("x") < 1
