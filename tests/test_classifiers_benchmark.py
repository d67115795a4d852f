"""The small programs of `python -m benchmarks classifiers`, and how its counts are made."""

from benchmarks.classifiers import NAMES, counts, judged, right
from benchmarks.reference_classifiers import DEVELOP, PAIRS

from famulus.diagnosis.history import Finding
from famulus.diagnosis.verdict import causes

HALF = {1, 5, 9, 11, 13, 15, 21, 29, 35, 41, 43, 47, 51}  # fixed before any rule was written


def finding(cause, severity="error"):
    return Finding(cause, severity, "", "")


def test_halves_are_what_they_were():
    assert set(DEVELOP) == HALF
    assert len({p.no for p in PAIRS}) == len(PAIRS) == 26


def test_every_fault_has_causes_that_exist():
    assert {cause for names in NAMES.values() for cause in names} <= causes().keys()
    assert {fault for p in PAIRS for fault in p.faults} == NAMES.keys()


def test_what_counts_as_right():
    found = [finding("loss-spike"), finding("rate-too-low"), finding("converged", "info")]
    assert right(found, ["lr", "act"]) == [False, True]
    assert right(found, ["batch"]) == [False, False]
    rows = [
        {"kind": "faulty", "found": ["a", "b"], "right": [False, True]},
        {"kind": "faulty", "found": [], "right": []},
        {"kind": "sound", "found": ["a"], "right": [True]},
    ]
    assert counts(rows) == {
        "faulty": 2, "detected": 1, "named": 1, "named_first": 0, "sound": 1, "accused": 1,
    }  # fmt: skip


def test_a_pair_is_told_apart():
    rows = list(judged([p for p in PAIRS if p.no == 35]))
    assert [bool(row["found"]) for row in rows] == [True, False]
    assert rows[0]["right"][0]
    assert rows[0]["warnings"] == rows[1]["warnings"] == []
