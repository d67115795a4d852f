"""Manifests: their documents as a pod would use them, and what is refused."""

import re

import pytest
from ruamel.yaml import YAML

from famulus.config.errors import ConfigError
from famulus.launch.manifests import HOME, Cluster, manifest
from tests.launch.tiny import famulus

TEXT = """why: Does a pod run what the file says?
task: tiles
data: {name: digits, subset: 64, validation: 32}
model: {channels: [4], code: 4}
training: {inputs: 64, batch: 32, threads: 1, precision: fp32, validate_every: {inputs: 64},
  checkpoint_every: {inputs: 64}, pictures_every: {inputs: 64}}
expect:
  - {finding: none, severity: error}
"""
STORE = "s3://bucket/runs"
FULL = Cluster(STORE, "me/f:1", 3, 2, "8Gi", "keys", "pictures")


def documents(kind, cluster=FULL, text=TEXT, words=()):
    made = manifest(kind, "codes/My_run", text, cluster, list(words))
    return list(YAML(typ="safe", pure=True).load_all(made))


def pod_of(kind, found):
    if kind == "kubernetes":
        return found[-1]["spec"]["template"]["spec"]["containers"][0]
    return found[-1]["spec"]["templates"][1]["container"]


def lay_out(kind, found, root):
    """The files that a pod would see, below `root` instead of HOME."""
    if kind == "kubernetes":
        config, job = found
        (volume,) = [
            v["configMap"]
            for v in job["spec"]["template"]["spec"]["volumes"]
            if v["name"] == "experiment"
        ]
        assert volume["name"] == config["metadata"]["name"]
        files = {item["path"]: config["data"][item["key"]] for item in volume["items"]}
    else:
        (artifact,) = found[0]["spec"]["templates"][1]["inputs"]["artifacts"]
        files = {artifact["path"].removeprefix(f"{HOME}/"): artifact["raw"]["data"]}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("kind", ["kubernetes", "argo"])
def test_what_a_pod_is_told_runs(kind, tmp_path, monkeypatch):
    found = documents(kind, words=["--set", "training.seed=3"])
    lay_out(kind, found, tmp_path)
    program, *words = pod_of(kind, found)["command"]
    assert program == "famulus"
    monkeypatch.chdir(tmp_path)
    said = famulus(*[str(tmp_path / "store") if w == STORE else w for w in words])
    assert said.code == 0, said
    assert len(list((tmp_path / "store/codes/My_run").glob("*/done.json"))) == 1


@pytest.mark.parametrize("kind", ["kubernetes", "argo"])
def test_everything_asked_is_there(kind):
    found = documents(kind)
    pod, text = pod_of(kind, found), str(found)
    assert pod["image"] == "me/f:1"
    assert pod["resources"]["limits"] == {"nvidia.com/gpu": 2, "memory": "8Gi"}
    assert pod["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert {"name": "FAMULUS_DATA", "value": "/data"} in pod["env"]
    assert "'claimName': 'pictures'" in text
    metadata = found[-1]["metadata"]
    label = metadata.get("name") or metadata["generateName"]
    assert re.fullmatch(r"famulus-codes-my-run-[0-9a-f]{8}-?", label)
    spec = found[-1]["spec"]
    if kind == "kubernetes":
        assert (spec["parallelism"], spec["completions"]) == (3, 3)
    else:
        assert spec["templates"][0]["steps"][0][0]["withSequence"] == {"count": "3"}


def test_other_text_is_another_job():
    one, other = (documents("kubernetes", text=t)[-1]["metadata"]["name"] for t in (TEXT, TEXT * 2))
    assert one != other


@pytest.mark.parametrize(("given", "url", "revision"), [
    ("https://host/me/it.git", "https://host/me/it.git", "HEAD"),
    ("https://host/me/it.git@v1.2", "https://host/me/it.git", "v1.2"),
    ("ssh://git@host/me/it.git", "ssh://git@host/me/it.git", "HEAD"),
])  # fmt: skip
def test_any_repository(given, url, revision):
    cluster = Cluster(STORE, "me/f:1", repository=given)
    (job,) = documents("kubernetes", cluster)
    fetch = job["spec"]["template"]["spec"]["initContainers"][1]["command"]
    assert fetch[-3:] == ["--", url, revision]
    (flow,) = documents("argo", cluster)
    git = flow["spec"]["templates"][1]["inputs"]["artifacts"][0]["git"]
    assert (git["repo"], git["revision"]) == (url, revision)
    assert TEXT not in str(flow)


@pytest.mark.parametrize(("change", "match"), [
    ({"store": "runs"}, "a URL that every pod reaches"),
    ({"store": "memory://runs"}, "a URL that every pod reaches"),
    ({"store": "sftp://me:word@host/runs"}, "holds a password"),
    ({"repository": "https://me:word@host/it.git"}, "holds a password"),
    ({"workers": 0}, "--workers >= 1"),
])  # fmt: skip
def test_what_cannot_work_is_refused(change, match):
    with pytest.raises(ConfigError, match=match) as refused:
        Cluster(**{"store": STORE, "image": "me/f:1"} | change)
    assert "word@" not in str(refused.value)


def test_argo_must_not_read_the_file():
    with pytest.raises(ConfigError, match="Argo would replace"):
        documents("argo", text=TEXT.replace("Does", "{{workflow.name}}"))
    with pytest.raises(ConfigError, match="--for argo or kubernetes"):
        documents("slurm")


def test_the_command(tmp_path):
    file, out = tmp_path / "experiments" / "one.yaml", tmp_path / "job.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    words = ("manifest", str(file), "--for", "kubernetes", "--image", "f", "--store", STORE)
    said = famulus(*words)
    assert (said.code, said.out[:14]) == (0, "apiVersion: v1")
    assert famulus(*words, "-o", str(out)).code == 0
    assert out.read_text() == said.out
    assert famulus(*words, "-o", str(out)).code == 2  # never overwritten
    assert famulus(*words[:-2], "--store", "runs").code == 2
