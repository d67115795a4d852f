"""What people's own code imports, and what an old path says."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import famulus
from famulus import api
from famulus.moved import GONE, moves

PAGES = [p for p in Path(__file__).parents[1].rglob("*.md") if ".venv" not in p.parts]
PACKAGES_NOW = [f"tasks.{wing}" for wing in ("tiles", "codes", "pretext", "qsm", "scroll")]
PACKAGES_NOW += ["journal.facts", "diagnosis.probes"]
NAMES = (
    "Task Score Floor Picture Position Source Splits open_images open_volume strip rebuild Strict"
    " ConfigError DataError StoreError added Store Probe FamulusCallback Facts Changes Parent"
    " SelfTest Proposal"
)


def test_the_face_has_what_it_promises():
    assert sorted(NAMES.split()) == sorted(api.HOMES) == sorted([*api.__all__, "FamulusCallback"])
    for name in api.HOMES:
        assert getattr(api, name).__name__ == name
    with pytest.raises(AttributeError, match=r"has no 'Tasks': it has .*Task"):
        api.Tasks  # noqa: B018


@pytest.mark.parametrize(
    ("code", "torch"),
    [
        ("from famulus.api import ConfigError, DataError, Score, Strict", False),
        ("import famulus, famulus.api", False),
        ("from famulus.api import Task", True),
        ("from famulus import Monitor", True),
    ],
)
def test_torch_is_loaded_where_it_is_used(code, torch):
    words = [sys.executable, "-c", f"{code}; import sys; print('torch' in sys.modules)"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert said == str(torch)


def deep_imports(text):
    """Modules of famulus that Python blocks of a page import, other than the two of the face."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    names = [m for b in blocks for m in re.findall(r"^\s*(?:from|import) (famulus[\w.]*)", b, re.M)]
    return sorted(set(names) - {"famulus", "famulus.api"})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages_show_the_face_only(page):
    assert deep_imports(page.read_text(encoding="utf-8")) == []


def test_a_deep_import_on_a_page_is_seen():
    text = "```python\nfrom famulus.images.open import open_images\n```\n"
    assert deep_imports(text) == ["famulus.images.open"]


@pytest.mark.parametrize("old", sorted(moves()))
def test_an_old_path_names_the_new_one(old):
    new = f"famulus.{moves()[old]}"
    assert importlib.util.find_spec(new), f"{old} is said to be {new}"
    try:
        importlib.import_module(f"famulus.{old}")
        said = ""
    except ModuleNotFoundError as error:
        said = str(error)
    line = f"famulus.{old} is now {new}; a task of your own imports from famulus.api"
    assert said == ("" if old in PACKAGES_NOW else line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("from famulus.data import images", "famulus.data.images is now famulus.images.open"),
        ("from famulus.data.images import open_images", "is now famulus.images.open"),
        ("import famulus.casebook.tiles_detached", "famulus.tasks.tiles.faults.detached"),
        ("from famulus.tasks.tiles import Tiles", "import it from famulus.tasks.tiles.tiles"),
        ("from famulus.diagnosis.probes import Probe", "from famulus.diagnosis.probes.probe"),
        ("from famulus.journal.facts import Strong", "from famulus.journal.facts.headline"),
        ("from famulus.diagnosis.rates import schedule_rate", "is now famulus.schedule"),
        ("import famulus.data.never", "No module named 'famulus.data.never'"),
        ("import famulus.never", "No module named 'famulus.never'"),
    ],
)
def test_what_a_person_reads(line, says):
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]


def test_a_wing_lacks_what_every_module_may_lack():
    """Only classes were imported from its file: tools that look for other names go on."""
    tiles = importlib.import_module("famulus.tasks.tiles")
    assert not hasattr(tiles, "anything")
    with pytest.raises(ImportError, match="import it from"):
        tiles.Tiles  # noqa: B018


def test_the_old_packages_hold_nothing():
    for name in GONE:
        module = importlib.import_module(f"famulus.{name}")
        assert not [n for n in vars(module) if not n.startswith("_")]
    assert famulus.__all__ == ["Lab", "Monitor", "__version__", "experiment", "load", "watch"]
