"""No test of this package touches the user's cache, data or store."""

import pytest

from tests.truth.shop import Shop


@pytest.fixture(scope="module", autouse=True)
def _apart(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("FAMULUS_CACHE", str(home / "cache"))
        patch.setenv("FAMULUS_DATA", str(home / "data"))
        patch.setenv("FAMULUS_STORE", str(home / "runs"))
        yield


@pytest.fixture
def shop(tmp_path) -> Shop:
    """An empty one."""
    return Shop(tmp_path)
