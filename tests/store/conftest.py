"""A store of either kind, empty and forgotten afterwards; no test touches the user's cache."""

import uuid

import pytest

from famulus.store import Store

ID = "0123456789ab"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["local", "memory"])
def url(request, tmp_path):
    return str(tmp_path / "lab") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def store(url):
    return Store.open(url)


@pytest.fixture
def run(store):
    return store.create_run("tiles/sizes", "size=3", ID, {"why": "x", "training": {"lr": 3e-4}})
