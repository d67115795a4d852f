"""Names of experiments: where they come from, and which a store can hold."""

import re
from pathlib import Path

from famulus.config.errors import ConfigError, SettingError
from famulus.config.yaml import MAX_BYTES, load

LONGEST = 160  # characters of one part; a file name may have 255 bytes
# No dot or dash in front: nothing hidden, nothing that a command takes for an option.
PART = re.compile(r"\w[\w.+=,@~-]*")
# greedy: the id is the last twelve digits, a slug may hold dashes itself
RUN_FOLDER = re.compile(r"(?P<slug>.+)-(?P<id>[0-9a-f]{12})")
# of the store itself, at its top: the person's notes, the pages, the version
TAKEN = ("lab", "journal", "famulus.json", "index.html")
# of the experiment above, beside its runs or beside its pages
TAKEN_BELOW = ("experiment.yaml", "source.json", "index.html", "index.md", "curves.svg")


def part_problem(name: object, what: str) -> str | None:
    """Why `name` is no one harmless part of a path; None if it is one."""
    if isinstance(name, str) and PART.fullmatch(name) and len(name) <= LONGEST:
        return None
    return (
        f"expected {what} of letters, digits and . _ + = , @ ~ - (at most {LONGEST}, the first"
        f" a letter or digit), received {str(name)[:80]!r}"
    )


def problem(name: str) -> str | None:
    """Why no new experiment can have this name; None if one can."""
    parts = name.split("/")
    for part in parts:
        if wrong := part_problem(part, "an experiment's name"):
            return wrong
        # Else its folder would be listed as a run of the experiment above.
        if RUN_FOLDER.fullmatch(part):
            return f"an experiment can't be named like a run's folder, received {name!r}"
    # Whatever the case: the store may lie, or come to lie, where `Journal` is `journal`.
    below = [part.casefold() for part in parts[1:]]
    taken = [part for part in below if part in TAKEN_BELOW or re.match(r"(cells|results)\.", part)]
    if parts[0].casefold() in TAKEN or taken:
        word = taken[0] if taken else parts[0].casefold()
        return f"an experiment can't be named {name!r}: {word!r} is the store's own"
    return None


def name_of(path: Path) -> str:
    """The path below the last `experiments/` folder, without suffix; else the file's stem."""
    parts = path.absolute().with_suffix("").parts
    # The last one: a home may itself lie in a folder of that name.
    below = [i for i, part in enumerate(parts[:-1]) if part == "experiments"]
    return "/".join(parts[below[-1] + 1 :]) if below else path.stem


def own_name(value: object) -> str | None:
    """What a file's own `name:` says; None without one. Raises SettingError for what is no text."""
    name = value.get("name") if isinstance(value, dict) else None
    if name is None or isinstance(name, str):
        return name
    raise SettingError(("name",), f"expected text, received {name!r}")


def file_name(path: Path) -> str:
    """The name that a file gives its experiment: its `name:`, else that of its path."""
    try:
        if path.stat().st_size <= MAX_BYTES:
            value = load(path.read_text(encoding="utf-8"), str(path)).value
            return own_name(value) or name_of(path)
    except (OSError, ValueError, ConfigError):
        pass  # a file that can't be read still has its path
    return name_of(path)


def place_of(path: Path, store: Path | None) -> str:
    """Where a file lies, without its machine: from the folder that holds its `experiments/`, else
    from the store's, else from here."""
    whole = path.absolute()
    above = [i for i, part in enumerate(whole.parts[:-1]) if part == "experiments"]
    if above:
        return Path(*whole.parts[above[-1] :]).as_posix()
    return Path(_relative(whole, store or Path.cwd())).as_posix()


def file_at(place: str, like: Path, store: Path | None) -> Path:
    """The file that `place_of` named, as seen from beside the file `like`."""
    whole = like.absolute()
    above = [i for i, part in enumerate(whole.parts[:-1]) if part == "experiments"]
    if place.startswith("experiments/"):
        return Path(*whole.parts[: above[-1]], place) if above else Path(place)
    return (store or Path.cwd()) / place


def _relative(path: Path, start: Path) -> str:
    import os.path

    try:
        return os.path.relpath(path, start)
    except ValueError:  # on another drive
        return path.name
