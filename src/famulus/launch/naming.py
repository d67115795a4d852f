"""Whose name an experiment's is: two files must not write over each other's plan.

A store keeps where the file of each plan lies. Another file of the same name is refused while the
first one is there and still has that name; one that was moved, renamed or named anew is not.
"""

from pathlib import Path

from famulus.config import names
from famulus.config.errors import ConfigError
from famulus.config.experiment import Plan
from famulus.store.store import Store


def judged(store: Store, plan: Plan, file: Path, place: str | None = None) -> str:
    """Where `file` lies, as a store keeps it, or the `place` that is told of one that will not
    stay. Raises ConfigError for a name that is another's."""
    shown = place or file
    if other := _differs_in_case(store, plan.name):
        raise ConfigError(
            f"{shown}: experiment {plan.name!r}: this store has {other!r}, and its file system"
            " does not tell them apart; say name: in the file"
        )
    place = place or names.place_of(file, store.local)
    before = store.source(plan.name)
    if before is None or before == place:
        return place
    if (store.planned(plan.name) or {}).get("text") == plan.text:
        return before  # the same plan: nothing is written over
    first = names.file_at(before, file, store.local)
    if first.exists() and not first.samefile(file) and names.file_name(first) == plan.name:
        raise ConfigError(
            f"{shown}: experiment {plan.name!r} is that of {before}: say name: in one of the two"
            " files, or move the other away"
        )
    return place


def _differs_in_case(store: Store, name: str) -> str:
    """The experiment, or the folder of some, that the file system takes for `name`; '' if none."""
    above = ""
    for part in name.split("/"):
        path = f"{above}/{part}".lstrip("/")
        folders = store.files.folders(above)
        if part not in folders:
            alike = [one for one in folders if one.casefold() == part.casefold()]
            if alike and store.files.exists(path):
                return f"{above}/{alike[0]}".lstrip("/")
            return ""
        above = path
    return ""
