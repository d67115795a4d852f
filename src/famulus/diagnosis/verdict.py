"""All rules over one history; one file of `rules/` a cause."""

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType

from famulus.diagnosis import rules
from famulus.diagnosis.history import Finding, History

ORDER = {"error": 0, "warning": 1, "info": 2}


def _modules() -> list[ModuleType]:
    found = sorted(m.name for m in pkgutil.iter_modules(rules.__path__))
    return [importlib.import_module(f"{rules.__name__}.{name}") for name in found]


def causes() -> dict[str, str]:
    """Every cause that can be named, with a line each."""
    return {module.CAUSE: module.SUMMARY for module in _modules()}


def diagnose(history: History) -> list[Finding]:
    """Findings, gravest first. What another finding explains as its consequence is left out."""
    found = [finding for rule in _rules() if (finding := rule(history)) is not None]
    explained = {cause for finding in found for cause in finding.consequences}
    kept = [finding for finding in found if finding.cause not in explained]
    return sorted(kept, key=lambda finding: ORDER[finding.severity])


def _rules() -> list[Callable[[History], Finding | None]]:
    return [module.rule for module in _modules()]
