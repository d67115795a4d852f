"""How an attempt ended: in words, where, and after how long."""

import re
import subprocess
import sys
import time

import pytest

from famulus.config.errors import FamulusError, SettingError
from famulus.store import layout
from famulus.store.claims import claim
from famulus.store.failure import LONGEST, error_of, reason_of
from famulus.store.index import summary

PROJECT = "def outer():\n    inner()\n\ndef inner():\n    raise KeyError('x')\n"


def raised(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def module(folder, name, text=PROJECT):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text)
    space = {}
    exec(compile(text, str(path), "exec"), space)
    return space


def test_the_innermost_line_of_somebodys_own_code(tmp_path, monkeypatch):
    error = raised(module(tmp_path / "mine", "net")["outer"])
    assert error_of(error) == {"type": "KeyError", "at": "net.py:5 in inner"}
    (tmp_path / "mine/__init__.py").write_text("")
    assert error_of(error)["at"] == "mine/net.py:5 in inner"
    monkeypatch.chdir(tmp_path)
    assert error_of(error)["at"] == "mine/net.py:5 in inner"


def test_a_library_is_not_where_it_happened():
    text = "import json\ndef f():\n    json.loads('{')\n"
    space = {}
    exec(compile(text, "<cell 3>", "exec"), space)
    assert error_of(raised(space["f"])) == {"type": "JSONDecodeError", "at": "<cell 3>:3 in f"}


def test_famulus_is_named_from_its_package():
    error = raised(lambda: layout.part("a b", "x"))
    found = error_of(error)
    assert found["type"] == "StoreError"
    assert re.fullmatch(r"store/layout\.py:\d+ in part", found["at"])


def test_the_error_that_began_it():
    def wraps():
        try:
            raise OSError("x")
        except OSError as error:
            raise FamulusError("it failed") from error

    assert error_of(raised(wraps))["type"] == "OSError"


def test_a_reason_is_one_short_line_without_secrets():
    text = reason_of(ValueError("a\n  b password=hunter2 " + "x" * 999))
    assert text.startswith("ValueError: a b password=*** x")
    assert len(text) == LONGEST
    assert reason_of(ValueError()) == "ValueError"
    assert reason_of(SettingError(("a",), "b")) == "SettingError: a: b"


def test_an_error_is_recorded_with_the_attempt(run):
    def fails():
        with claim(run) as attempt:
            attempt.seconds = lambda: 17.2
            attempt.emit({"kind": "train", "step": 1, "inputs": 9, "s": 7.2, "values": {}})
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    (ended,) = run.attempts()
    assert (ended["ended"], ended["seconds"]) == ("error", 17.2)
    assert ended["why"] == "ZeroDivisionError: division by zero"
    at = r"(tests/)?store/test_failure\.py:\d+ in fails"
    assert re.fullmatch(at, ended["error"]["at"])
    ending = run.ending()
    assert ending["status"] == run.status() == "failed"
    assert ending["reason"] == ended["why"]
    assert (ending["seconds"], ending["error"]["type"]) == (17.2, "ZeroDivisionError")
    assert ending["time"] == ended["ended_time"]
    assert summary(run)["reason"] == ended["why"]
    assert run.done() is None  # it may be mended, and resumed
    with claim(run) as attempt:
        assert attempt.n == 2
        assert run.ending() == {}


@pytest.mark.parametrize(("status", "ended"), [("failed", "failed"), ("finished", "finished")])
def test_a_failed_run_does_not_end_as_finished(run, status, ended):
    with claim(run) as attempt:
        attempt.finish({"status": status, "reason": "nan", "seconds": 3.0})
    assert run.attempts()[0]["ended"] == ended
    assert run.attempts()[0].get("seconds") == (3.0 if status == "failed" else None)
    assert run.ending() == run.done()


KILLED = """
import os, signal, sys
from famulus.store import Store
from famulus.store.claims import claim
claim(Store.open(sys.argv[1]).runs()[0])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_worker_has_a_reason(tmp_path):
    from famulus.store import Store

    store = Store.open(tmp_path / "lab")
    run = store.create_run("e", "s", "0" * 12, {})
    code = subprocess.run([sys.executable, "-c", KILLED, store.root], check=False).returncode
    assert code == -9
    assert run.status() == "interrupted"
    assert "ended without a word" in run.ending()["reason"] == summary(run)["reason"]
    assert run.attempts()[0]["ended"] is None  # nobody has written it yet, and reading does not
    with claim(run):
        (first, _) = run.attempts()
    assert first["ended"] == "lost"
    assert str(first["process"]["pid"]) in first["why"]


def test_seconds_are_those_of_whoever_trains_or_of_the_wall(run):
    attempt = claim(run)
    time.sleep(0.05)
    assert attempt.seconds() >= 0.05
    attempt.end("interrupted", seconds=attempt.seconds())
    assert run.ending()["seconds"] >= 0.05
