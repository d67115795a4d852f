"""What `make lint` makes of mypy's report: no error, or a number that may only fall."""

from tests.check_types import COUNTED, package, verdict

CLEAN = "config store schedule journal launch diagnosis cli training feed images volumes bridges"
STORE = "src/famulus/store/run.py:7: error: Incompatible return value  [return-value]\n"
CODES = "src/famulus/tasks/codes/prior.py:9: error: Module has no attribute  [attr-defined]\n"
NOTE = "src/famulus/store/run.py:7: note: see elsewhere\nFound 2 errors in 2 files\n"


def test_an_error_where_none_may_be_is_shown():
    assert verdict("Success: no issues found", {}) == []
    wrong = verdict(STORE + NOTE, {})
    assert wrong == [STORE.strip(), "store: 1 errors of types, expected 0"]


def test_a_number_may_fall_and_is_then_written_down():
    assert verdict(CODES * 2 + NOTE, {"tasks/codes": 2}) == []
    assert "expected 2" in verdict(CODES * 3, {"tasks/codes": 2})[-1]
    assert verdict(CODES, {"tasks/codes": 2}) == [
        "tasks/codes: 1 errors of types: lower its number in COUNTED"
    ]


def test_a_wing_counts_by_itself_and_only_wings_may():
    assert package("tasks/codes/faults/stretched") == "tasks/codes"
    assert package("tasks/base") == "tasks"
    assert package("schedule") == "schedule"
    assert not set(CLEAN.split()) & set(COUNTED)
    assert all(name.startswith("tasks/") for name in COUNTED)
