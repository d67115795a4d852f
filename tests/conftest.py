"""For all tests: nobody's random stream depends on which test ran before."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _seeded() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
