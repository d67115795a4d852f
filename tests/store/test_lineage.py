"""One curve over parents, facts, and no secret in any of them."""

import json
import subprocess
import sys

import pytest

from famulus.store import lineage, provenance
from famulus.store.claims import claim
from famulus.store.secrets import scrubbed, scrubbed_command, without_credentials


def numbered(attempt, *steps):
    for step in steps:
        attempt.emit({"kind": "train", "step": step, "run": attempt.run.id})


def chain(store, kind):
    """Three runs, each from a checkpoint inside the one before it."""
    parent, runs = None, []
    for k in range(3):
        run = store.create_run("e", "s", f"{k:012x}", {"k": k})
        with claim(run) as attempt:
            attempt.record_lineage({"parent": parent})
            numbered(attempt, 2 * k + 1, 2 * k + 2)
            attempt.save_checkpoint(2 * k + 2, {"m": b"x"}, {})
            numbered(attempt, 98, 99)  # beyond the checkpoint: not part of the child's curve
        parent = lineage.parent_record(run, 2 * k + 2, kind)
        runs.append(run)
    return runs


@pytest.mark.parametrize("kind", ["resume", "extend"])
def test_one_curve_over_three_runs(store, kind):
    runs = chain(store, kind)
    assert [e["step"] for e in runs[2].curve()] == [1, 2, 3, 4, 5, 6, 98, 99]
    assert [e["step"] for e in runs[0].curve()] == [1, 2, 98, 99]
    found = runs[1].parent()
    assert found is not None
    assert found[0] == runs[0]


def test_the_parents_curve_stays_when_it_goes_on(store):
    runs = chain(store, "resume")
    with claim(runs[0]) as attempt:
        numbered(attempt, 3)
        attempt.save_checkpoint(3, {"m": b"y"}, {})
        attempt.prune({3})
    assert [e["step"] for e in runs[1].curve()] == [1, 2, 3, 4, 98, 99]


def test_a_warm_start_begins_a_curve_of_its_own(store):
    assert [e["step"] for e in chain(store, "warm_start")[2].curve()] == [5, 6, 98, 99]


def test_a_parent_that_is_gone_shortens_the_curve(store):
    runs = chain(store, "resume")
    store.files.remove(runs[1].path)
    assert runs[2].parent() is None
    assert [e["step"] for e in runs[2].curve()] == [5, 6, 98, 99]


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


def test_code_is_commit_and_diff(tmp_path):
    assert provenance.code(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://me:hunter2@example.org/r.git")
    clean = provenance.code(tmp_path)
    assert len(clean["commit"]) == 40
    assert (clean["diff"], clean["diff_sha256"], clean["complete"]) == ("", None, True)
    assert clean["remote"] == "https://example.org/r.git"
    (tmp_path / "a.py").write_text("x = 2\n")
    (tmp_path / "untracked.py").write_text("y = 1\n")
    dirty = provenance.code(tmp_path)
    assert "+x = 2" in dirty["diff"]
    assert "untracked" not in dirty["diff"]
    assert dirty["complete"]
    (tmp_path / "a.py").write_text("api_token = 'hunter2'\n")
    hidden = provenance.code(tmp_path)
    assert "hunter2" not in json.dumps(hidden)
    assert not hidden["complete"]


def test_a_large_diff_is_cut(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "a.txt").write_text("long line\n" * 1000)
    assert provenance.code(tmp_path)["complete"]
    monkeypatch.setattr(provenance, "LARGEST_DIFF", 500)
    cut = provenance.code(tmp_path)
    assert len(cut["diff"]) == 500
    assert not cut["complete"]


def test_collect_is_plain_and_needs_no_torch(tmp_path):
    code = (
        "import sys, json; from famulus.store import lineage;"
        "facts = lineage.collect(overrides=['training.seed=1'], fingerprint='f');"
        "assert 'torch' not in sys.modules; print(json.dumps(facts))"
    )
    words = [sys.executable, "-c", code, "--api-key", "hunter2", "s3://me:hunter2@host/b"]
    done = subprocess.run(words, capture_output=True, check=True, cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert b"hunter2" not in done.stdout
    assert facts["packages"]["torch"]
    assert facts["machine"]["cores"] >= 1
    assert facts["machine"]["memory_bytes"] > 1 << 20
    assert facts["code"] is None
    assert facts["data"] == "f"
    assert facts["overrides"] == ["training.seed=1"]
    assert lineage.stale(facts) is False
    assert lineage.stale(facts, {"sha256": "other"}) is True
    assert lineage.stale({}) is None


SECRETS = [
    "https://me:hunter2@example.org/x",
    "sftp://hunter2@host/x",
    "s3://b/x?X-Amz-Signature=hunter2&y=1",
    "https://h/x?sig=hunter2",
    "WANDB_API_KEY=hunter2 python x.py",
    "password: hunter2",
    '"secret_key": "hunter2"',
    "--hf-token=hunter2",
    "Authorization: Bearer hunter2",
    "HF_TOKEN=hunter2",
    "token = 'hunter2hunter2'",
    "https://h/x?token=hunter2",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_hidden(text):
    assert "hunter2" not in scrubbed(text)


@pytest.mark.parametrize(
    "key", ["AKIA" + "A1B2C3D4" * 2, "ghp_" + "a1" * 18, "hf_" + "Ab" * 17, "sk-" + "a1" * 20]
)
def test_keys_are_known_by_their_shape(key):
    assert key not in scrubbed(f"x = '{key}'")


@pytest.mark.parametrize(
    "text",
    [
        "famulus run experiments/tiles/a.yaml --set training.optimizer.lr=3e-4",
        "s3://bucket/lab/x?versionId=3",
        "me@example.org wrote: max_tokens=16",
        "cls_token = nn.Parameter(torch.zeros(1, 1, dim))",
        "self.mask_token: Tensor = token",
        "git@example.org:owner/repo.git",
    ],
)
def test_ordinary_text_stays(text):  # the control: hiding everything would pass the tests above
    assert scrubbed(text) == text
    assert without_credentials(text) == text


def test_the_word_after_a_flag_is_hidden():
    words = ["famulus", "run", "--token", "hunter2", "--password", "--seed", "3"]
    assert scrubbed_command(words) == [
        "famulus",
        "run",
        "--token",
        "***",
        "--password",
        "--seed",
        "3",
    ]
