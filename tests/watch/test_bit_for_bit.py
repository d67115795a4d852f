"""Ten trainings give the same numbers under a watch, and leave every random stream where it was."""

import re

import pytest

from tests.watch.shell import python, script, watch

STYLES = (
    "classed", "loaded", "adversarial", "variational", "closed", "accumulated", "mixed",
    "recurrent", "tuned", "recomputed",
)  # fmt: skip
STEPS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ten")
    script(folder, "ten.py")
    return folder


@pytest.fixture(scope="module")
def plain(folder):
    return python(folder, "ten.py")


@pytest.fixture(scope="module")
def watched(folder):
    return watch(folder, "ten.py")


def hashes(text):
    return dict(re.findall(r"^([a-z]+) ([0-9a-f]{64})$", text, re.M))


@pytest.mark.parametrize("style", STYLES)
def test_weights_and_random_streams_are_the_same(plain, watched, style):
    assert hashes(watched.out)[style] == hashes(plain.out)[style]


def test_what_the_script_prints_is_the_same(plain, watched):
    """Every loss, by its bits."""
    assert tuple(hashes(plain.out)) == STYLES
    assert watched.out.startswith(plain.out)
    assert watched.code == 0


def test_one_random_number_more_would_show_in_each(folder, plain):
    """Proof that the comparison can fail."""
    disturbed = hashes(python(folder, "ten.py", "--disturbed").out)
    same = [style for style in STYLES if disturbed[style] == hashes(plain.out)[style]]
    assert same == []


def test_all_ten_were_watched_to_their_end(watched):
    """A watch that is off changes nothing either."""
    runs = watched.store.runs()
    assert [run.status() for run in runs] == ["finished"] * 10, watched
    steps = sorted(run.done()["step"] for run in runs)
    assert steps[1:] == [STEPS] * 9
    assert 0 < steps[0] < STEPS  # the scaler leaves out the updates that overflow
    assert watched.notes() == []
