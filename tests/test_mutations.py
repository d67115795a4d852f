"""The faults that `python -m benchmarks mutations` plants fit the package as it is today."""

import ast
from pathlib import Path

import pytest
from benchmarks import mutations
from benchmarks.mutations import FAILED, PASSED, ROOT, Fault, by_room, chosen

from famulus.config.errors import ConfigError

SOURCE = ROOT / "src/famulus"
FAULTS = {name: fault for room in by_room().values() for name, fault in room.items()}
AT_LEAST = {  # by package; `tasks` itself: what all wings build on
    "config": 3,
    "store": 3,
    "feed": 2,
    "nets": 2,
    "images": 2,
    "volumes": 2,
    "training": 3,
    "bridges": 2,
    "launch": 2,
    "lab": 2,
    "cli": 2,
    "tasks": 1,
    "schedule.py": 1,
    "units.py": 1,
    **{f"diagnosis/{part}": 1 for part in ("rules", "controls", "probes", "foresight")},
    **{f"journal/{part}": 2 for part in ("facts", "pages")},
    **{f"tasks/{wing}": 2 for wing in ("codes", "pretext", "qsm", "scroll", "tiles")},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_stands_once_and_is_python(name):
    fault = FAULTS[name]
    text = (SOURCE / fault.file).read_text(encoding="utf-8")
    faulty = fault.planted(text)
    assert ast.dump(ast.parse(faulty)) != ast.dump(ast.parse(text)), "only a comment differs"
    assert fault.tests
    assert all((ROOT / path).exists() for path in fault.tests)
    assert fault.what


def test_every_package_has_faults():
    assert len(FAULTS) == sum(map(len, by_room().values())) >= 50, "two of one name, or too few"
    folders = [str(Path(fault.file).parent) for fault in FAULTS.values()]
    files = [fault.file for fault in FAULTS.values()]
    for package, least in AT_LEAST.items():
        count = folders.count(package) + files.count(package)
        assert count >= least, package
    packages = {p.parent.name for p in SOURCE.glob("*/__init__.py")}
    assert packages == {Path(p).parts[0] for p in AT_LEAST if not p.endswith(".py")}


def test_a_fault_that_no_longer_fits_is_refused():
    fault = Fault("what", "file.py", "a = 1", "a = 2", [])
    assert fault.planted("a = 1\n") == "a = 2\n"
    for text in ("a = 3\n", "a = 1\nb = a\na = 1\n"):
        with pytest.raises(ValueError, match="once"):
            fault.planted(text)


def test_names_choose():
    some = list(FAULTS)[:2]
    assert list(chosen(False, some)) == some
    assert len(chosen(True, ())) == len(by_room())
    assert chosen(False, ()) == FAULTS
    with pytest.raises(ConfigError, match="no-such-fault"):
        chosen(False, ["no-such-fault"])


def test_a_fault_is_seen_where_sound_tests_then_fail(tmp_path, monkeypatch):
    """By how pytest ends on the sound copy and on the faulty one; each is planted alone."""
    file = tmp_path / "famulus/part.py"
    file.parent.mkdir()
    file.write_text("a = 1\nb = 2\n", encoding="utf-8")
    ends = {  # by test: how it ends without and with the fault
        "seen": (PASSED, FAILED),
        "overlooked": (PASSED, PASSED),
        "collected-nothing": (PASSED, 5),
        "endless": (PASSED, None),
        "broken": (FAILED, FAILED),
    }
    texts = []

    def exit_code(source, tests):
        texts.append(file.read_text(encoding="utf-8"))
        return ends[tests[0]]["b = 3" in texts[-1]]

    monkeypatch.setattr(mutations, "_exit_code", exit_code)
    monkeypatch.setattr(mutations, "_check_import", lambda source: None)
    wanted = {name: Fault("what", "part.py", "b = 2", "b = 3", [name]) for name in ends}
    survivors = mutations._planted_in(tmp_path, wanted)
    assert list(survivors) == ["overlooked", "collected-nothing", "endless", "broken"]
    assert survivors["collected-nothing"] == "exit code 5"
    assert set(texts) == {"a = 1\nb = 2\n", "a = 1\nb = 3\n"}
    assert file.read_text(encoding="utf-8") == "a = 1\nb = 2\n"
