"""What a score means: its unit, which way is better, and whether cells may be ranked by it.

A task declares its scores (`Task.SCORES`), a watched loop those of its own (`Monitor(scores=...)`).
Early stopping, the best checkpoint, plateaus, tables and pages all read this one declaration; a
name that nobody declared is never ranked by a guess.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from famulus.config.errors import ConfigError, SettingError
from famulus.config.nearest import suggestion
from famulus.config.schema import Direction, Training

PREFIX = "val/"  # of a score's name in files and on pages


@dataclass(frozen=True, kw_only=True)
class Score:
    """`better` is None where neither way is (a diagnostic: prevalence, a step's size).

    comparable: cells are ranked by it where their losses are different quantities.
    depends_on: settings, as `loss.kind`, that make it another quantity: cells in which one of them
    differs are not ranked by it.
    Raises ConfigError for another `better`.
    """

    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    comparable: bool = True
    depends_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher", None):
            raise ConfigError(
                f"Score: expected better='lower', 'higher' or None, received {self.better!r}"
            )

    @property
    def direction(self) -> Direction | None:
        """As `training.stop.direction` says it."""
        return {"lower": "min", "higher": "max", None: None}[self.better]


Scores = Mapping[str, Score]
# Training makes it small, whatever it is; what a task does not say better depends on its section.
LOSS = Score(better="lower", comparable=False, depends_on=("loss",))


def checked(given: Any, where: str) -> Scores:
    """`given` with names without `val/`. Raises ConfigError if it is not `Score`s by name."""
    wrong = [f"{given!r}"]
    if isinstance(given, Mapping):
        good = {n: s for n, s in given.items() if isinstance(n, str) and isinstance(s, Score)}
        wrong = [f"{name!r}: {score!r}" for name, score in given.items() if name not in good]
    if wrong:
        raise ConfigError(
            f"{where}: expected scores by name, as {{'accuracy': Score(better='higher')}},"
            f" received {wrong[0]}"
        )
    return {name.removeprefix(PREFIX): score for name, score in given.items()}


def find(name: str, declared: Scores) -> Score | None:
    """The declaration of a score, with or without `val/`; None if nobody declared it.

    A name that is made at run time (`recall of class 3`) is that of the longest declared name which
    it begins with (`recall`), up to a letter or digit.
    """
    name = name.removeprefix(PREFIX)
    if name in declared:
        return declared[name]
    begun = [d for d in declared if name.startswith(d) and not _goes_on(d, name)]
    # a word may be followed by anything but its own continuation
    if begun:
        return declared[max(begun, key=len)]
    return LOSS if name == "loss" else None


def _goes_on(begin: str, name: str) -> bool:
    """Is the word that `begin` ends in a longer one in `name`: l1 in l10?"""
    return begin[-1:].isalnum() and name[len(begin)].isalnum()


def as_json(declared: Scores) -> dict[str, dict[str, Any]]:
    """As a run's facts hold it."""
    return {name: asdict(score) for name, score in declared.items()}


def from_json(stored: Any) -> dict[str, Score]:
    """`as_json` back; what is none is left out."""
    scores = {}
    for name, fields in stored.items() if isinstance(stored, Mapping) else ():
        try:
            depends_on = tuple(map(str, fields.get("depends_on", ())))
            scores[str(name)] = Score(**{**fields, "depends_on": depends_on})
        except (TypeError, AttributeError, ConfigError):
            continue
    return scores


def directed(training: Training, declared: Scores) -> Training:
    """`training` with every direction filled in from the score that it is about.

    Raises SettingError if one contradicts its score, or if nobody says which way is better.
    """
    keep, stop, schedule = training.keep, training.stop, training.schedule
    changed: dict[str, Any] = {}
    if keep.best is None:
        way: Direction = keep.direction or "min"  # as files without it were always filled in
    else:
        way = _way(("keep", "best"), keep.best, keep.direction, declared)
    changed["keep"] = keep.model_copy(update={"direction": way})
    if stop is not None:
        way = _way(("stop", "score"), stop.score, stop.direction, declared)
        changed["stop"] = stop.model_copy(update={"direction": way})
    if schedule.score is not None:
        way = _way(("schedule", "score"), schedule.score, schedule.direction, declared)
        changed["schedule"] = schedule.model_copy(update={"direction": way})
    return training.model_copy(update=changed)


def _way(path: tuple[str, str], name: str, given: Direction | None, declared: Scores) -> Direction:
    score = find(name, declared) if name.startswith(PREFIX) else None
    known = score.direction if score else None
    if score and known and given and known != given:
        raise SettingError(
            ("training", path[0], "direction"),
            f"expected {known} or no direction, received {given}: of {name}, {score.better} is"
            " better",
        )
    if way := known or given:
        return way
    if score:
        problem = f"of {name}, neither lower nor higher is better"
    else:
        names = [f"{PREFIX}{n}" for n in dict.fromkeys(["loss", *declared])]
        problem = f"no score is declared as {name!r}, {suggestion(name, names)}"
        problem += f" declared are {', '.join(sorted(names))}"
    cause = "" if score else "unknown-score"
    problem += f"; to watch it all the same, say training.{path[0]}.direction: min or max"
    raise SettingError(("training", *path), problem, cause)
