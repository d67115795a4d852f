"""Packages that not everybody needs: imported where they are used, and named where they lack."""

import importlib
from typing import Any

from famulus.config.errors import DataError


def needed(module: str, extra: str, what: str) -> Any:
    """The module of that name. Raises DataError saying `what` needs it and what installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DataError(
            f"{what}: needs the package {package}: pip install 'famulus[{extra}]'"
        ) from error
