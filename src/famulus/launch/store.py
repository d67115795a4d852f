"""Which store a command means."""

import os

from famulus.store.store import Store


def open_store(given: str | None) -> Store:
    """`--store`, else FAMULUS_STORE, else the folder `runs` here."""
    return Store.open(given or os.environ.get("FAMULUS_STORE") or "runs")
