"""Opening, planning and finding."""

import json

import pytest

from famulus.config.errors import StoreError
from famulus.store import Store, layout
from famulus.store.claims import claim


def test_open_creates_and_opens_again(url):
    assert json.loads(Store.open(url).files.read("famulus.json")) == {"version": 1}
    Store.open(url).files.write("famulus.json", b'{"version": 1, "note": "mine"}')
    assert b"mine" in Store.open(url).files.read("famulus.json")


@pytest.mark.parametrize("text", ['{"version": 2}', '{"version": "x"}', "{", "[]"])
def test_a_newer_or_damaged_store_is_refused(store, url, text):
    store.files.write("famulus.json", text.encode())
    with pytest.raises(StoreError, match="upgrade famulus") as error:
        Store.open(url)
    assert "\n" not in str(error.value)


def test_a_file_url_is_a_folder(tmp_path):
    assert Store.open(f"file://{tmp_path}/x").local == tmp_path / "x"


def test_plan_and_resolve_once(store):
    assert store.planned("tiles/sizes") is None
    store.plan("tiles/sizes", "why: x\n", {"size=3": {"id": "0" * 12}})
    made = []
    for value in ("bf16", "fp32"):
        got = store.resolve_once("tiles/sizes", "precision", lambda v=value: made.append(v) or v)
        assert got == "bf16"
    assert made == ["bf16"]
    store.resolve_once("tiles/sizes", "threads", lambda: 2)
    store.plan("tiles/sizes", "why: y\n", {"size=4": {}})  # planned again: what is resolved stays
    assert store.planned("tiles/sizes") == {
        "text": "why: y\n",
        "cells": {"size=4": {}},
        "overrides": [],
        "expect": None,
        "resolved": {"precision": "bf16", "threads": 2},
    }
    shown = json.loads(store.files.read("tiles/sizes/cells.json"))
    assert shown["resolved"] == {"precision": "bf16", "threads": 2}
    assert store.experiments() == ["tiles/sizes"]


def test_a_run_is_created_once(store, run):
    again = store.create_run("tiles/sizes", "size=3", run.id, {"why": "another"})
    assert again == run
    assert again.config() == {"why": "x", "training": {"lr": 0.0003}}
    assert run.status() == "planned"
    assert store.runs() == [run]
    assert store.runs("tiles/other") == []
    assert store.run("tiles/sizes", "size=3", run.id) == run
    with pytest.raises(StoreError, match="received none"):
        store.run("tiles/sizes", "size=4", run.id)


def test_find(store):
    a = store.create_run("one", "a", "aa0000000000", {})
    b = store.create_run("one/two", "b", "ab0000000000", {})
    assert store.experiments() == ["one", "one/two"]
    assert store.find("aa0000000000") == a
    assert store.find("ab") == b
    assert store.find("a", experiment="one/two") == b
    with pytest.raises(StoreError, match=r"received 2: aa0000000000 \(one a\), ab0000000000"):
        store.find("a")
    with pytest.raises(StoreError, match=r"received 'zz': it has aa0000000000 \(one a\)"):
        store.find("zz")
    with pytest.raises(StoreError, match="received ''"):
        store.find("")


def test_last_is_the_newest_started(store):
    runs = [store.create_run("e", f"s{k}", f"{k:012x}", {}) for k in range(3)]
    for k, minute in enumerate((1, 3, 2)):
        record = json.dumps({"n": 1, "time": f"2026-11-20T10:0{minute}:00+00:00"}).encode()
        store.files.create(layout.attempt(runs[k].path, 1), record)
    assert store.find("last") == runs[1] == store.find("last:e")
    with pytest.raises(StoreError, match="the store has e"):
        store.find("last:f")


BAD = [
    "..",
    ".",
    "",
    "../x",
    "/etc",
    "a/../../b",
    "a//b",
    "a\\b",
    "a\0b",
    "a\nb",
    ".ssh",
    "x" * 200,
]


@pytest.mark.parametrize("name", [*BAD, "lab", "lab/x", "x-0123456789ab"])
def test_a_harmful_experiment_is_refused(store, name):
    with pytest.raises(StoreError, match="expected an experiment's name"):
        store.plan(name, "", {})


@pytest.mark.parametrize("name", [*BAD, "a/b"])
def test_other_harmful_names_are_refused(store, run, name):
    refused = pytest.raises(StoreError, match="choose another name")
    with refused:
        store.create_run("e", name, "0" * 12, {})
    with pytest.raises(StoreError, match="12 digits"):
        store.create_run("e", "s", name, {})
    with refused:
        store.write_lab(name, "x")
    with refused:
        store.resolve_once("e", name, lambda: 1)
    with claim(run) as attempt:
        with refused:
            attempt.save_picture(name, b"")
        with refused:
            attempt.save_checkpoint(1, {name: b""}, {})
        assert run.checkpoints() == []
    with refused:
        run.picture(name)


@pytest.mark.parametrize("name", ["a", "Größe", "tiles/sizes", "lr=3e-4,size=28", "a..b"])
def test_ordinary_names_are_allowed(store, name):
    store.plan(name, "", {})
    assert store.experiments() == [name]


def test_lab_pages(store):
    assert store.lab() == []
    assert store.read_lab("todo") == ""
    store.write_lab("todo", "- [ ] größer\n")
    store.write_lab("2026-11-20", "x")
    assert store.lab() == ["2026-11-20", "todo"]
    assert store.read_lab("todo") == "- [ ] größer\n"
    assert store.experiments() == []


def test_free_bytes(store):
    free = store.free_bytes()
    assert free > 0 if store.local else free is None


def test_an_experiment_that_was_copied_without_its_store_is_listed(store, run, url):
    """A folder of runs may come alone from another machine: `absent` is only what has none."""
    store.files.remove(layout.META)
    alone = Store.open(url, create=False)
    assert [row["path"] for row in alone.rows()] == [run.path]
