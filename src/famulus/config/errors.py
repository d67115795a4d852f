"""Mistakes that a person can mend: shown as one line, without a traceback.

A message says what is wrong, where, and what to do. Expected first, then received.
"""


class FamulusError(Exception):
    """Base of every error that is shown as one line. `exit_code` is the process's."""

    exit_code = 1  # a run failed: NaN, a spike, an expectation


class ConfigError(FamulusError):
    """The experiment file, an override or the command line is wrong."""

    exit_code = 2


class SettingError(ConfigError):
    """A wrong value at a dotted path; whoever knows the file adds its line and column."""

    def __init__(self, path: tuple[str | int, ...], problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{'.'.join(map(str, path))}: {problem}" if path else problem)


class DataError(FamulusError):
    """Data are missing, damaged, empty or too few."""

    exit_code = 3


class StoreError(FamulusError):
    """The store can't be read or written, is of a newer version, or a checkpoint is damaged."""

    exit_code = 4


class Busy(StoreError):
    """Another process holds the run's lease."""

    exit_code = 5
