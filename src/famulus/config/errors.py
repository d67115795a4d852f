"""Mistakes that a person can mend: shown as one line, without a traceback.

A message says what is wrong, where, and what to do. Expected first, then received.
"""


class FamulusError(Exception):
    """Base of every error that is shown as one line. `exit_code` is the process's.

    `cause` is a name from `famulus causes`, where what was refused is one of them.
    """

    exit_code = 1  # a run failed: NaN, a spike, an expectation

    def __init__(self, *args: object, cause: str = "") -> None:
        super().__init__(*args)
        self.cause = cause


class ConfigError(FamulusError):
    """The experiment file, an override or the command line is wrong."""

    exit_code = 2


class SettingError(ConfigError):
    """A wrong value at a dotted path; whoever knows the file adds its line and column."""

    def __init__(self, path: tuple[str | int, ...], problem: str, cause: str = "") -> None:
        self.path, self.problem = path, problem
        text = f"{'.'.join(map(str, path))}: {problem}" if path else problem
        super().__init__(text, cause=cause)


class Unfit(ValueError):
    """Values that don't go together, from where no file is known; its cause is handed on."""

    def __init__(self, problem: str, cause: str) -> None:
        super().__init__(problem)
        self.cause = cause


def cause_of(error: BaseException | None) -> str:
    """The cause that an error names, or an empty text."""
    return str(getattr(error, "cause", "") or "")


class DataError(FamulusError):
    """Data are missing, damaged, empty or too few."""

    exit_code = 3


class Unread(DataError):
    """Some of many files could not be read; the results of all others are there."""


class StoreError(FamulusError):
    """The store can't be read or written, is of a newer version, or a checkpoint is damaged."""

    exit_code = 4


class Busy(StoreError):
    """Another process holds the run's lease."""

    exit_code = 5
