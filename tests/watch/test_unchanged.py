"""Under `famulus watch` a script finds what it finds under `python`: names, paths, streams."""

import re

import pytest

from tests.watch.shell import in_order, python, script, watch

# options behind the script are the script's, also those that `famulus watch` knows
ARGUMENTS = ("--store", "mine", "--json", "--help", "-m", "sum", "--", "a b")
STDIN = "first line\nsecond line"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """(without, with) of one script, which lies below the folder where it is started."""
    folder = tmp_path_factory.mktemp("probe")
    script(folder, "code/probe.py")
    script(folder, "code/neighbour_of_the_probe.py", "NAME = 'beside the script'\n")
    # a module of that name where the script is started must not be taken
    script(folder, "neighbour_of_the_probe.py", "NAME = 'wrong'\n")
    words = ("code/probe.py", *ARGUMENTS)
    return python(folder, *words, stdin=STDIN), watch(folder, *words, stdin=STDIN)


def test_the_surroundings_are_the_same_to_the_letter(probe):
    plain, watched = probe
    assert (plain.code, watched.code) == (0, 0), watched
    assert f"argv {['code/probe.py', *ARGUMENTS]}" in plain.out
    assert "neighbour beside the script" in plain.out
    assert f"stdin {STDIN}" in plain.out
    main, _, _ = plain.out.partition("last line\n")
    shown = watched.out[: len(main)]
    assert shown == main
    assert set(plain.err.splitlines()) <= set(watched.err.splitlines())


def test_threads_and_exit_handlers_run_once_and_find_the_script(probe):
    plain, watched = probe
    assert plain.out.endswith("last line\nthread over True\ngoodbye 0.8444218515250481\n")
    assert in_order(plain.out.splitlines(), watched.out.splitlines()), watched
    for line in ("last line", "thread over", "goodbye"):
        assert watched.out.count(line) == 1
    assert "Traceback" not in watched.err


def test_models_are_copied_and_stored_without_a_trace(probe):
    plain, watched = probe
    assert plain.out.count("trace in files False False\n") == 7
    assert watched.out.count("trace in files False False\n") == 7
    assert "True" not in "".join(re.findall("trace in files.*", watched.out))


def test_words_of_the_doctor_follow_those_of_the_script(probe):
    _, watched = probe
    run = watched.run()
    _, _, after = watched.out.partition("last line\n")
    assert run.id in after
    assert run.experiment == "probe"
    assert (run.status(), run.done()["step"]) == ("finished", 30)
    assert (run.config()["model"]["class"], run.config()["task"]) == ("Net", "own-loop")


INNER = "WORD = 'inner'\n"
PACKAGE = """\
import sys
from . import inner
from .inner import WORD
print(__name__, __package__, __spec__.name, __file__, WORD, inner.__name__)
print(sys.argv, sys.path[0])
sys.exit(5)
"""
MODULE = """\
import sys
import torch
from .inner import WORD
print(__name__, __package__, __spec__.name, __file__, WORD)
print(sys.argv, sys.path[0], sys.stdin.read())
layer = torch.nn.Linear(2, 1)
descent = torch.optim.SGD(layer.parameters(), lr=0.01)
for _ in range(5):
    descent.zero_grad()
    layer(torch.ones(4, 2)).square().mean().backward()
    descent.step()
print("trained", type(layer).__name__, sys.modules["__main__"].layer is layer)
"""


@pytest.fixture
def parcel(tmp_path):
    script(tmp_path, "parcel/__init__.py", "")
    script(tmp_path, "parcel/inner.py", INNER)
    script(tmp_path, "parcel/__main__.py", PACKAGE)
    script(tmp_path, "parcel/training.py", MODULE)
    return tmp_path


def test_a_package_that_trains_nothing(parcel):
    """It runs as ever, keeps its exit code, and one line says that there was nothing to see."""
    plain = python(parcel, "-m", "parcel", "--json", "x")
    watched = watch(parcel, "-m", "parcel", "--json", "x")
    assert (plain.code, watched.code) == (5, 5), watched
    assert plain.out.startswith("__main__ parcel parcel.__main__ ")
    assert watched.out.startswith(plain.out)
    assert len(watched.notes()) == 1, watched.err
    assert "train" in watched.notes()[0]
    assert "Traceback" not in watched.err


def test_a_module_of_a_package(parcel):
    plain = python(parcel, "-m", "parcel.training", "--name", "x", stdin="words")
    watched = watch(parcel, "-m", "parcel.training", "--name", "x", stdin="words")
    assert (plain.code, watched.code) == (0, 0), watched
    assert "trained Linear True" in plain.out
    assert watched.out.startswith(plain.out)
    run = watched.run()
    assert run.experiment.endswith("training")
    assert run.done()["step"] == 5
    chosen = run.config()["training"]["optimizer"]
    assert chosen["variable"] == "descent"
    line = MODULE.splitlines().index("descent = torch.optim.SGD(layer.parameters(), lr=0.01)") + 1
    assert chosen["at"].endswith(f"training.py:{line}")
