"""A run is repeated with the code that it recorded, taken from a repository made here."""

import json
import math
import subprocess

import pytest

from famulus.config.errors import ConfigError
from famulus.launch import rerun
from famulus.launch.rerun import compare_curves, rerun_with_recorded_code
from famulus.store import provenance

CODE = """
import json, sys, os, pathlib
said = {"version": VERSION, "arguments": sys.argv[1:], "file": __file__}
pathlib.Path(os.environ["SAID"]).write_text(json.dumps(said))
sys.exit(7)
"""


class Recorded:
    """As much of a run as `rerun` asks for."""

    id = "0123456789ab"

    def __init__(self, record=None, events=()):
        self.record, self.written = record, events

    def lineage(self):
        return self.record

    def events(self):
        return iter(self.written)


def git(folder, *words):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two commits of a `famulus.cli` that only tells which version of it ran."""
    folder = tmp_path / "repository"
    package = folder / "src/famulus"
    (package / "store").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q", str(folder))
    for version in (1, 2):
        (package / "cli.py").write_text(f"VERSION = {version}{CODE}")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"version {version}")
    monkeypatch.setattr(provenance, "__file__", str(package / "store/provenance.py"))
    monkeypatch.setenv("SAID", str(tmp_path / "said.json"))
    return folder


def record(repository, **more):
    """What a run of the first version recorded."""
    first = git(repository, "rev-list", "--max-parents=0", "HEAD")
    git(repository, "checkout", "-q", first)
    sha256 = provenance.digest(repository / "src/famulus")
    git(repository, "checkout", "-q", "-")
    return {"famulus": {"sha256": sha256, "checkout": {"commit": first, "complete": True, **more}}}


def test_the_recorded_commit_runs(repository, tmp_path):
    run = Recorded(record(repository))
    code = rerun_with_recorded_code(run, "/lab/runs", ["--json"])
    said = json.loads((tmp_path / "said.json").read_text())
    assert (code, said["version"]) == (7, 1)
    wanted = ["rerun", run.id, "--current-code", "--store", "/lab/runs", "--json"]
    assert said["arguments"] == wanted
    assert not said["file"].startswith(str(repository))
    assert len(git(repository, "worktree", "list").splitlines()) == 1  # nothing is left behind
    assert git(repository, "status", "--porcelain") == ""


def test_the_recorded_changes_are_applied(repository, tmp_path):
    cli = repository / "src/famulus/cli.py"
    git(repository, "checkout", "-q", "HEAD~1")
    cli.write_text(cli.read_text().replace("VERSION = 1", "VERSION = 1.5"))
    changes, sha256 = provenance.code(repository), provenance.digest(cli.parent)
    git(repository, "checkout", "-q", "-f", "-")
    run = Recorded({"famulus": {"sha256": sha256, "checkout": changes}})
    assert rerun_with_recorded_code(run, "/lab/runs", []) == 7
    assert json.loads((tmp_path / "said.json").read_text())["version"] == 1.5


def test_the_experiments_own_checkout_counts_where_it_is_the_same(repository, tmp_path):
    famulus = record(repository)["famulus"]
    code = famulus["checkout"]
    same = {**famulus, "checkout": {"commit": "ignored", "same": True}}
    run = Recorded({"famulus": same, "code": code})
    assert rerun_with_recorded_code(run, "/lab/runs", []) == 7
    assert json.loads((tmp_path / "said.json").read_text())["version"] == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"commit": None}, "recorded no commit"),
        ({"commit": "f" * 40}, "commit ffffffffffff .* is not in this checkout"),
        ({"complete": False}, "too large to record"),
    ],
)
def test_code_that_can_not_be_had(repository, change, told):
    run = Recorded(record(repository, **change))
    with pytest.raises(ConfigError, match=f"{told}.*--current-code"):
        rerun_with_recorded_code(run, "/lab/runs", [])


def test_files_that_git_did_not_track_are_missed(repository, tmp_path):
    untracked = record(repository)
    untracked["famulus"]["sha256"] = "of more files"
    with pytest.raises(ConfigError, match=r"files that git did not track; add --current-code"):
        rerun_with_recorded_code(Recorded(untracked), "/lab/runs", [])
    assert not (tmp_path / "said.json").exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_the_command_asks_for_the_recorded_code(tmp_path, monkeypatch):
    """Only where the code has changed since."""
    from tests.launch.tiny import ONE, famulus, write

    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    root, asked = tmp_path / "runs", []
    assert famulus("run", write(tmp_path), *ONE, "--store", root, "--no-journal").code == 0

    def instead(run, store, arguments):
        asked.append((run.id, store, arguments))
        return 3

    monkeypatch.setattr(rerun, "rerun_with_recorded_code", instead)
    assert famulus("rerun", "last", "--store", root, "--json").code == 0
    assert asked == []
    changed = {"sha256": "changed", "checkout": None}
    monkeypatch.setattr(provenance, "source", lambda: changed)
    assert famulus("rerun", "last", "--store", root, "--json").code == 3
    assert len(asked) == 1
    assert asked[0][1:] == (str(root), ["--json"])


def line(*points):
    return Recorded(
        events=[
            {"kind": kind, "inputs": inputs, "values": {"loss": value}}
            for kind, inputs, value in points
        ]
    )


def test_curves_are_compared_point_by_point():
    curve = [("train", 32, 2.0), ("val", 32, 4.0), ("train", 64, math.nan)]
    same = compare_curves(line(*curve), line(*curve))
    assert same["identical"]
    assert same["points"] == 3
    other = compare_curves(line(*curve), line(curve[0], ("val", 32, 5.0), curve[2]))
    assert not other["identical"]
    assert other["largest_relative_difference"] == {"train/loss": 0, "val/loss": 1 / 5}
    broken = compare_curves(line(*curve), line(("train", 32, math.nan), *curve[1:]))
    assert broken["largest_relative_difference"]["train/loss"] == math.inf


def test_curves_without_a_common_point_are_not_the_same():
    assert not compare_curves(line(("val", 32, 1.0)), line(("val", 64, 1.0)))["identical"]
    assert not compare_curves(line(), line())["identical"]
    longer = compare_curves(line(("val", 32, 1.0)), line(("val", 32, 1.0), ("val", 64, 1.0)))
    assert not longer["identical"]
