"""Which store a command means."""

import os

from famulus.config.errors import StoreError
from famulus.store.store import Store


def open_store(given: str | os.PathLike[str] | None, *, needed: bool = False) -> Store:
    """`--store`, else FAMULUS_STORE, else the folder `runs` here. Nothing is written: only a
    command that trains begins a store.

    Raises StoreError where none is and one is `needed`.
    """
    store = Store.open(os.fspath(given or os.environ.get("FAMULUS_STORE") or "runs"), create=False)
    if needed and store.absent and not store.experiments():
        raise StoreError(
            f"expected a store at {store.root}, received nothing: famulus run FILE begins one,"
            " --store names another"
        )
    return store
