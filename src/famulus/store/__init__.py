"""Runs as plain files under one folder, local or remote: nothing else is the truth."""

from famulus.store.attempt import Attempt, Superseded
from famulus.store.checkpoint import Checkpoint
from famulus.store.run import Run
from famulus.store.store import Store

__all__ = ["Attempt", "Checkpoint", "Run", "Store", "Superseded"]
