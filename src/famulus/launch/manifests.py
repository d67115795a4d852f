"""An experiment as a manifest for a cluster: a Kubernetes Job, or an Argo Workflow.

Every pod gets the same command line, `famulus run FILE --store URL`. The store's leases give each
cell to one pod; a pod that is lost costs one checkpoint interval, and one that is told to end
(SIGTERM) writes a checkpoint first. The manifest carries the experiment file as text, or names a
repository that holds it; it carries no secret, only the name of one.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from famulus.config.errors import ConfigError

KINDS = ("argo", "kubernetes")
HOME = "/famulus"  # where the experiment file, or the repository, lies in a pod
DATA = "/data"
GRACE_S = 120  # for the checkpoint after SIGTERM
RETRIES = 20  # a pre-empted pod starts again, and goes on


@dataclass(frozen=True)
class Cluster:
    """What a manifest says beside the experiment. `workers`: pods that share the cells."""

    store: str
    image: str
    workers: int = 1
    gpus: int = 0
    memory: str | None = None  # as 8Gi
    secret: str | None = None  # a Secret whose keys become environment variables
    data_claim: str | None = None  # a PersistentVolumeClaim: the data folder, read only
    repository: str | None = None  # URL, or URL@REVISION; the experiment file is taken from there

    def __post_init__(self) -> None:
        url = urlsplit(self.store)
        if url.scheme in ("", "memory", "file"):
            raise ConfigError(
                "manifest: expected --store as a URL that every pod reaches, as s3://bucket/runs, "
                f"received {self.store!r}"
            )
        for where in (self.store, self.repository or ""):
            if urlsplit(where).password:
                raise ConfigError(
                    "manifest: a URL holds a password: leave it out, and name a Secret by --secret"
                )
        if self.workers < 1 or self.gpus < 0:
            raise ConfigError(
                "manifest: expected --workers >= 1 and --gpus >= 0, received "
                f"{self.workers} and {self.gpus}"
            )


def manifest(kind: str, name: str, text: str, cluster: Cluster, arguments: list[str]) -> str:
    """YAML for `kubectl create -f` or `argo submit`.

    `name`: of the experiment, its path under experiments/ without suffix; `text`: its file;
    `arguments`: further words of `famulus run`. Raises ConfigError for an unknown kind, or for a
    text that Argo would change.
    """
    if kind not in KINDS:
        raise ConfigError(f"manifest: expected --for {' or '.join(KINDS)}, received {kind!r}")
    short = _label(name, f"{text}{cluster}{arguments}")
    file = PurePosixPath("experiments", f"{name}.yaml")
    parts = _kubernetes if kind == "kubernetes" else _argo
    documents = parts(short, file, text, cluster, arguments)
    out, writer = io.StringIO(), YAML()
    writer.default_flow_style = False
    writer.width = 4096
    writer.dump_all(documents, out)
    return out.getvalue()


def _label(name: str, content: str) -> str:
    """A name that a cluster takes (RFC 1123), with a hash of what is asked."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return f"famulus-{words or 'run'}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _container(file: PurePosixPath, c: Cluster, arguments: list[str]) -> dict[str, Any]:
    words = ["famulus", "run", str(file), "--store", c.store, "--no-journal", *arguments]
    found: dict[str, Any] = {
        "name": "famulus",
        "image": c.image,
        "command": words,  # a list: no shell reads it
        "workingDir": HOME,
        "env": [{"name": "FAMULUS_DATA", "value": DATA}] if c.data_claim else [],
    }
    if c.secret:
        found["envFrom"] = [{"secretRef": {"name": c.secret}}]
    limits: dict[str, Any] = {"nvidia.com/gpu": c.gpus} if c.gpus else {}
    if c.memory:
        limits["memory"] = c.memory
    if limits:
        found["resources"] = {"limits": limits}
    if c.data_claim:
        found["volumeMounts"] = [{"name": "data", "mountPath": DATA, "readOnly": True}]
    return found


def _volumes(c: Cluster) -> list[dict[str, Any]]:
    if not c.data_claim:
        return []
    claim = {"claimName": c.data_claim, "readOnly": True}
    return [{"name": "data", "persistentVolumeClaim": claim}]


def _source(repository: str) -> tuple[str, str]:
    """URL and revision of URL or URL@REVISION (the @ of a user stands before the host)."""
    url, at, revision = repository.rpartition("@")
    return (url, revision) if at and "/" in url.partition("://")[2] else (repository, "HEAD")


def _kubernetes(
    short: str, file: PurePosixPath, text: str, c: Cluster, arguments: list[str]
) -> list[dict[str, Any]]:
    container, documents = _container(file, c, arguments), []
    pod: dict[str, Any] = {
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": GRACE_S,
        "containers": [container],
        "volumes": _volumes(c),
    }
    mounts = container.setdefault("volumeMounts", [])
    mounts.append({"name": "experiment", "mountPath": HOME})
    if c.repository:
        url, revision = _source(c.repository)
        pod["volumes"].append({"name": "experiment", "emptyDir": {}})
        pod["initContainers"] = [
            _git(["init", "-q", HOME]),
            # Behind `--` a URL that begins with a dash is no option of git's.
            _git(["-C", HOME, "fetch", "-q", "--depth=1", "--", url, revision]),
            _git(["-C", HOME, "checkout", "-q", "FETCH_HEAD"]),
        ]
        for i, one in enumerate(pod["initContainers"]):
            one["name"] = f"repository-{i}"
    else:
        items = [{"key": file.name, "path": str(file)}]
        pod["volumes"].append({"name": "experiment", "configMap": {"name": short, "items": items}})
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": short},
                "data": {file.name: LiteralScalarString(text)},
            }
        )
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": short},
        "spec": {
            "parallelism": c.workers,
            "completions": c.workers,
            "backoffLimit": RETRIES,
            "template": {"spec": pod},
        },
    }
    return [*documents, job]


def _git(words: list[str]) -> dict[str, Any]:
    return {
        "name": "",
        "image": "alpine/git",
        "command": ["git", *words],
        "volumeMounts": [{"name": "experiment", "mountPath": HOME}],
    }


def _argo(
    short: str, file: PurePosixPath, text: str, c: Cluster, arguments: list[str]
) -> list[dict[str, Any]]:
    if c.repository:
        url, revision = _source(c.repository)
        source = {"path": HOME, "git": {"repo": url, "revision": revision, "depth": 1}}
    else:
        if "{{" in text:
            raise ConfigError("manifest: Argo would replace '{{' in the file: use --repository")
        source = {"path": f"{HOME}/{file}", "raw": {"data": LiteralScalarString(text)}}
    container = _container(file, c, arguments)
    if any("{{" in word for word in container["command"]):
        raise ConfigError("manifest: Argo would replace '{{' in the command line")
    work = {
        "name": "work",
        "inputs": {"artifacts": [{"name": "experiment", **source}]},
        "container": {k: v for k, v in container.items() if k != "name"},
        "retryStrategy": {"limit": RETRIES, "retryPolicy": "Always"},
    }
    pods = {"name": "pod", "template": "work", "withSequence": {"count": str(c.workers)}}
    spec = {
        "entrypoint": "pods",
        "volumes": _volumes(c),
        "podSpecPatch": f"terminationGracePeriodSeconds: {GRACE_S}",
        "templates": [{"name": "pods", "steps": [[pods]]}, work],
    }
    metadata = {"generateName": f"{short}-"}
    head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    return [{**head, "metadata": metadata, "spec": spec}]
