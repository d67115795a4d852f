"""A control is one file: it declares itself, and the one list names it."""

import importlib
import pkgutil

from famulus.diagnosis import controls
from famulus.diagnosis.controls.order import CHECKS, MODULES


def test_every_file_that_declares_a_control_is_listed_once():
    names = [f"{controls.__name__}.{m.name}" for m in pkgutil.iter_modules(controls.__path__)]
    modules = [importlib.import_module(name) for name in names]
    declared = {m.__name__ for m in modules if hasattr(m, "CHECK")}
    assert sorted(m.__name__ for m in MODULES) == sorted(declared)
    assert len({check.name for check in CHECKS}) == len(CHECKS) == len(MODULES)
