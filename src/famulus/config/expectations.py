"""Does every axis and value that a promise names exist? A promise about nothing is always kept."""

from collections.abc import Iterable
from typing import Any

from famulus.config.errors import SettingError
from famulus.config.matrix import same, text
from famulus.config.nearest import suggestion
from famulus.config.schema import Expect, OrderExpect


def check(expect: Iterable[Expect], cells: list[dict[str, Any]], narrowed: bool = False) -> None:
    """Raises SettingError for an axis that no cell has, and, unless `narrowed`, for a value."""
    axes: dict[str, list[Any]] = {}
    for cell in cells:
        for name, value in cell.items():
            axes.setdefault(name, []).append(value)
    for i, promise in enumerate(expect):
        for name, wanted in promise.where.items():
            path = ("expect", i, "where", name)
            _axis(name, axes, path)
            if not narrowed and not any(same(wanted, value) for value in axes[name]):
                _absent(text(wanted), axes[name], path)
        if isinstance(promise, OrderExpect):
            _axis(promise.by, axes, ("expect", i, "by"))
            known = {text(value) for value in axes[promise.by]}
            for value in promise.ascending:
                if not narrowed and value not in known:
                    _absent(value, axes[promise.by], ("expect", i, "says"))


def _axis(name: str, axes: dict[str, list[Any]], path: tuple[str | int, ...]) -> None:
    if name not in axes:
        raise SettingError(path, f"no such axis, {suggestion(name, axes)}")


def _absent(value: str, values: list[Any], path: tuple[str | int, ...]) -> None:
    known = {text(v) for v in values}
    if value in known:
        raise SettingError(path, f"no cell has {value} of this type: quoted text is no number")
    raise SettingError(path, f"no cell has {value}, {suggestion(value, known)}")
