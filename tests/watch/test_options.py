"""--name, --fail-on, --check, and what is refused before the script is begun."""

import pytest

from tests.launch.tiny import complains, famulus
from tests.watch.shell import script, watch

SOUND, BAD = "0.01", "10"  # learning rates


@pytest.fixture
def folder(tmp_path):
    script(tmp_path, "rate.py")
    return tmp_path


def after_the_end(watched):
    """What Famulus says below the script's own words."""
    assert watched.out.startswith("the end\n"), watched
    return watched.out.removeprefix("the end\n")


def test_a_finding_alone_is_no_failure_and_its_remedy_is_a_line_of_the_script(folder):
    watched = watch(folder, "rate.py", BAD, options=("--name", "own/mine"))
    assert watched.code == 0, watched
    words = after_the_end(watched)
    run = watched.run()
    assert run.experiment == "own/mine"
    assert run.id in words.strip().splitlines()[0]
    assert "error: rate-too-high" in words
    assert "Adam(lr=" in words
    # no key of an experiment file, and no variable that this script does not have
    for other in ("training.", "--set", "optimizer.param_groups", "optimizer.lr"):
        assert other not in words
    again = watched.famulus("diagnose", "last")
    assert "Adam(lr=" in again
    assert set(again.strip().splitlines()) <= set(words.splitlines())
    assert (folder / "runs/journal/own/mine/index.html").is_file()


def test_fail_on_makes_a_grave_finding_a_failure(folder):
    watched = watch(folder, "rate.py", BAD, options=("--fail-on", "error"))
    assert watched.code == 1
    assert "rate-too-high" in after_the_end(watched)
    assert (folder / "weights.txt").exists()


def test_fail_on_leaves_a_sound_script_alone(folder):
    options = ("--fail-on", "warning", "--controls-steps", "5", "--json")
    watched = watch(folder, "rate.py", SOUND, options=options)
    assert watched.code == 0, watched
    (row,) = watched.json()["runs"]
    assert [f for f in row["findings"] if f["severity"] != "info"] == []
    assert row["steps"] == 300


def test_check_stops_after_the_first_steps_and_fails_by_itself(folder):
    watched = watch(folder, "rate.py", BAD, "100000000", options=("--check",))
    assert watched.code == 1, watched
    assert "rate-too-high" in watched.out
    assert "Adam(lr=" in watched.out
    for line in ("far in", "the end"):
        assert line not in watched.out
    assert not (folder / "weights.txt").exists()
    assert "Traceback" not in watched.err
    run = watched.run()
    assert 0 < run.done()["step"] < 100_000
    assert [c["name"] for c in run.events() if c["kind"] == "control"]  # it did try


def test_check_of_a_sound_script(folder):
    watched = watch(folder, "rate.py", SOUND, "100000000", options=("--check", "--json"))
    assert watched.code == 0, watched
    said = watched.json()
    assert said["exit_code"] == 0
    (row,) = said["runs"]
    assert [f for f in row["findings"] if f["severity"] == "error"] == []
    assert "far in" not in watched.err
    assert not (folder / "weights.txt").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "SCRIPT"),
        (("missing.py",), "missing.py"),
        (("-m", "no_such_module_anywhere"), "no_such_module_anywhere"),
        (("--no-such-option", "rate.py"), "--no-such-option"),
        (("--fail-on", "nonsense", "rate.py"), "nonsense"),
        (("--controls-steps", "-1", "rate.py"), "controls-steps"),
        (("--controls-steps", "many", "rate.py"), "many"),
        (("-m",), "-m"),
    ],
)
def test_a_mistake_is_one_line_and_no_store(folder, monkeypatch, words, says):
    monkeypatch.chdir(folder)
    complains(famulus("watch", *words), 2, says)
    assert not (folder / "runs").exists()
