"""The command that writes a manifest for a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from famulus.cli.app import app
from famulus.cli.options import FileArgument, ModuleOption, SetOption, StoreOption, make_room


@app.command()
def manifest(
    file: FileArgument,
    for_: Annotated[str, typer.Option("--for", help="argo or kubernetes.")],
    image: Annotated[str, typer.Option(help="Container image that has famulus.")],
    store: StoreOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the cells.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs for each pod.")] = 0,
    memory: Annotated[str | None, typer.Option(help="Of each pod, as 8Gi.")] = None,
    secret: Annotated[
        str | None, typer.Option(help="A Secret whose keys become variables, as AWS keys.")
    ] = None,
    data_claim: Annotated[
        str | None, typer.Option(help="A PersistentVolumeClaim that holds the data folder.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="URL[@REVISION] of a repository that has the file.")
    ] = None,
    set_: SetOption = None,
    allow_module: ModuleOption = None,
    out: Annotated[Path | None, typer.Option("-o", help="Write there, unless it exists.")] = None,
) -> None:
    """An experiment as a manifest: for kubectl create -f, or argo submit."""
    import os

    from famulus.config.errors import ConfigError
    from famulus.launch.actions import read_plan
    from famulus.launch.manifests import Cluster, manifest

    plan = read_plan(file, set_ or [], allow_module or [])
    where = store or os.environ.get("FAMULUS_STORE") or "runs"
    cluster = Cluster(where, image, workers, gpus, memory, secret, data_claim, repository)
    words = [w for one in set_ or [] for w in ("--set", one)]
    words += [w for one in allow_module or [] for w in ("--allow-module", one)]
    text = manifest(for_, plan.name, file.read_text(encoding="utf-8"), cluster, words)
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise ConfigError(f"{out}: exists already")
    make_room(out)
    out.write_text(text, encoding="utf-8")
    print(out)
