"""However a script ends, it ends so under a watch too; then the findings come."""

import re
from pathlib import Path

import pytest
import torch

import famulus
from famulus.store.store import Store
from tests.watch.shell import STORE, environment, python, script, watch

OURS, TORCH = (str(Path(module.__file__).parent) for module in (famulus, torch))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    script(folder, "ends.py")
    script(folder, "broken.py", "print('never')\nfor x in range(3) print(x)\n")
    return folder


@pytest.fixture
def runs_of(folder):
    """The runs that a test adds to the store that all share."""
    store = Store.open(folder / STORE, create=False)
    before = set() if store.absent else {run.id for run in store.runs()}
    return lambda: [run for run in Store.open(folder / STORE).runs() if run.id not in before]


FRAME = re.compile(r'  File "([^"\n]+)", line \d+, in .*\n(?:    .*\n)*')


def own_frames(text):
    """A traceback without frames inside of torch, which has others of its own for calls it hooks.

    What stands beside the frames stays, word for word.
    """
    return FRAME.sub(lambda m: "" if m[1].startswith(TORCH) else m[0], text)


def ending(folder, *words):
    """(without, with) of a script that ends with an error, whose words are the same."""
    plain, watched = python(folder, *words), watch(folder, *words)
    assert "Error" in plain.err or "Interrupt" in plain.err
    assert own_frames(plain.err) in own_frames(watched.err)
    files = FRAME.findall(watched.err)
    assert [file for file in files if file.startswith(OURS) or "runpy" in file] == []
    return plain, watched


def test_a_chain_of_errors_is_shown_as_python_shows_it(folder, runs_of):
    plain, watched = ending(folder, "ends.py", "chained")
    assert (plain.code, watched.code) == (1, 1)
    assert plain.err.count("Traceback") == 4
    assert watched.err.count("Traceback") == 4
    assert watched.out.startswith(plain.out)
    (run,) = runs_of()
    assert run.status() == "failed"
    assert run.done()["reason"].startswith("KeyError")
    # of what began it: the second `backward`
    lines = [line.strip() for line in (folder / "ends.py").read_text().splitlines()]
    at = len(lines) - lines[::-1].index("loss.backward()")
    assert run.done()["error"] == {"type": "RuntimeError", "at": f"ends.py:{at} in chained"}
    assert run.id in watched.out[len(plain.out) :]  # the findings follow


def test_a_script_that_does_not_parse(folder, runs_of):
    plain, watched = ending(folder, "broken.py")
    assert (plain.code, watched.code) == (1, 1)
    assert 'broken.py", line 2' in watched.err
    assert runs_of() == []
    assert "never" not in watched.out


def test_its_own_exit_code_stands_before_that_of_the_findings(folder, runs_of):
    watched = watch(folder, "ends.py", "three", options=("--fail-on", "info"))
    assert watched.code == 3, watched
    assert watched.out.startswith("begin\n")
    assert "Traceback" not in watched.err
    (run,) = runs_of()
    assert run.id in watched.out
    assert run.done()["step"] == 25


def test_words_on_leaving_are_an_error(folder):
    watched = watch(folder, "ends.py", "words")
    assert watched.code == 1
    assert "not today" in watched.err.splitlines()
    assert "Traceback" not in watched.err


def test_control_c(folder, runs_of):
    plain, watched = ending(folder, "ends.py", "interrupted")
    assert plain.code == -2  # by the signal itself
    assert watched.code == 130
    assert "never reached" not in watched.out
    assert watched.err.rstrip().count("KeyboardInterrupt") == 1
    (run,) = runs_of()
    assert run.status() == "interrupted"
    assert run.id in watched.out


def test_control_c_that_the_script_expects_is_its_own_affair(folder, runs_of):
    watched = watch(folder, "ends.py", "saved")
    assert watched.code == 0, watched
    assert watched.out.startswith("begin\nsaved what there was\nend\n")
    (run,) = runs_of()
    assert (run.status(), run.done()["step"]) == ("finished", 28)


def test_a_hook_for_errors_is_called(folder):
    watched = watch(folder, "ends.py", "hooked")
    assert watched.code == 1
    assert "my own words: ZeroDivisionError" in watched.err
    assert "Traceback" not in watched.err


def test_the_surroundings_of_these_tests_are_clean(folder):
    """No launcher's rank reaches the scripts, or they would not be watched at all."""
    assert "RANK" not in environment(folder)
