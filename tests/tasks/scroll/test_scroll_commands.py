"""What docs/scroll.md shows for the phantom, in small: train, then use what was trained."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile

from famulus import load
from famulus.config.errors import ConfigError, DataError
from famulus.journal.facts.read import read_run
from famulus.journal.pages.run_page import _run_scores
from famulus.store.store import Store
from famulus.tasks.scroll import data as scroll_data
from famulus.tasks.scroll import papyrus, surface_apply
from famulus.tasks.scroll.data import ScrollPhantom
from tests.launch.tiny import complains, famulus

ROOT = Path(__file__).parents[3]
SMALL = {
    "data.phantom.shape": "[12, 64, 64]",
    "data.phantom.letter": "24",
    "training.inputs": "32",
    "training.batch": "16",
    "training.threads": "1",
    "training.precision": "fp32",
    **{f"training.{k}_every": "{inputs: 32}" for k in ("validate", "checkpoint", "log")},
    "training.pictures_every": "null",
    "loss.noise_scale": "true",
}
OWN = {
    "ink": {
        "replicates": "1",
        "data.validation": "[1, 2]",
        "data.cube": "[8, 32, 32]",
        "training.schedule": "{name: constant}",
    },
    "first-cubes": {"data.cube": "8", "data.gap": "4", "model.widths": "[4, 8]", "model.code": "6"},
}


def commands():
    """The lines of the first fence, each as words."""
    text = (ROOT / "docs/scroll.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", text, re.S)[1]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


@pytest.fixture
def small_phantoms(monkeypatch):
    """One sheet and no search for a layout that betrays little: these nets learn nothing anyway."""
    monkeypatch.setattr(papyrus, "LAYOUTS", papyrus.TRIED)
    monkeypatch.setattr(papyrus, "SHEETS", 1)
    scroll_data.phantom.cache_clear()
    yield
    scroll_data.phantom.cache_clear()


def test_the_pages_commands_train_and_use_the_ink_net(small_phantoms, tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_STORE", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    lines = commands()
    assert [words[0] for words in lines] == ["run", "run", "apply", "apply"]
    for words in lines[:2]:
        name = Path(words[1]).stem
        given = [f"{k}={v}" for k, v in (SMALL | OWN[name]).items()]
        sets = [w for setting in given for w in ("--set", setting)]
        said = famulus("run", ROOT / words[1], *sets, "--no-journal")
        assert said.code in (0, 1), said.err  # 1: so short a training keeps no promise
    for words in lines[2:]:
        said = famulus(*words)
        assert (said.code, said.out) == (0, f"{words[-1] if words[-2] == '-o' else 'ink-7'}\n")
    store = Store.open(tmp_path / "runs")
    run = store.find("last:scroll/ink")
    assert run.config()["data"]["phantom"]["strength"] == 1.0  # not the control
    assert tifffile.imread(tmp_path / "ink-7/prediction.tif").shape == (64, 64)
    report = json.loads((tmp_path / "ink-7/report.json").read_text())
    assert {"labels", "truth", "margin advice"} <= set(report)
    assert tifffile.imread(tmp_path / "rebuilt-7/prediction.tif").shape == (12, 64, 64)
    for name, out, options in (
        ("ink", "ink-7", {"stride": 16, "flips": 4}),
        ("first-cubes", "rebuilt-7", {}),
    ):  # a volume in memory gives what its file gives
        model = load(f"last:scroll/{name}")
        phantom = ScrollPhantom.model_validate(model.settings["data"]["phantom"])
        fragment = surface_apply.opened(Path("papyrus-7"), phantom, {})
        volume = fragment.volume.array
        made = model.apply(volume, mask=fragment.mask, **options)
        file = tifffile.imread(tmp_path / out / "prediction.tif")
        assert np.array_equal(made, file)
        assert made.std() > 0
        assert not np.array_equal(model.apply(volume[:, ::-1], **options), file)
        with pytest.raises(ConfigError, match="stide"):
            model.apply(volume, stide=16)
        with pytest.raises(DataError, match="3 axes"):
            model.apply(volume[0])
    told = [e["advice"] for e in run.events() if e["kind"] == "facts" and "advice" in e]
    assert told
    assert re.search(r"instead of 16 is worth|all noise", told[-1])
    assert dict(_run_scores(read_run(run)))["advice"] == told[-1]
    wrong = [*lines[2], "--option", "threshold=high"]
    complains(famulus(*wrong), 2, "threshold", "'high'")
    complains(famulus(*lines[3], "--option", "labels=none.png"), 2, "labels", "brings its own")
