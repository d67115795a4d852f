"""No rule without a history that shows its fault and one just beside it that does not, and no
constant of a rule that could be another one unnoticed."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

from famulus.diagnosis import contract, learning, loop, posterior, rules, trend
from famulus.diagnosis.history import Finding
from tests.diagnosis.rules.limits import LIMITS
from tests.diagnosis.rules.limits.limit import Limit

BESIDE = (contract, learning, loop, posterior, trend)  # what rules share
RULES = tuple(
    importlib.import_module(f"{rules.__name__}.{entry.name}")
    for entry in pkgutil.iter_modules(rules.__path__)
)


def untested(modules: Iterable[ModuleType], limits: Iterable[Limit]) -> list[str]:
    """Rules for which no limit has one history that shows the fault and a silent one."""
    tested = {limit.rule.__name__ for limit in limits if limit.says is None}
    return [module.__name__ for module in modules if module.__name__ not in tested]


def altered(value: Any) -> Iterator[Any]:
    """A number tripled, a third of it, a count one more and one less; of a collection, each of its
    numbers in turn."""
    if isinstance(value, float) and value:
        yield from (3 * value, value / 3)
    elif isinstance(value, int) and not isinstance(value, bool) and value:
        yield from (3 * value, value // 3, value + 1, value - 1)
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            yield from ((*value[:n], other, *value[n + 1 :]) for other in altered(inner))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from ({**value, key: other} for other in altered(inner))


def constants(module: ModuleType) -> list[str]:
    """Names of its limits."""
    return [name for name, value in vars(module).items() if name.isupper() and any(altered(value))]


def wrong(limits: Iterable[Limit]) -> list[str]:
    """Limits of which a side is not what it should be."""
    return [
        str(limit) for limit in limits if not limit.names(limit.faulty) or limit.names(limit.silent)
    ]


def unnoticed(module: ModuleType, limits: Iterable[Limit], monkeypatch) -> list[str]:
    """Constants of a module that could be others and leave every limit as it is."""
    limits, survivors = list(limits), []
    for name in constants(module):
        for value in altered(getattr(module, name)):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                try:
                    reports = wrong(limits)
                except (ArithmeticError, LookupError, ValueError):
                    continue
            if not reports:
                survivors.append(f"{module.__name__}.{name} = {value}")
    return survivors


def of(module: ModuleType) -> list[Limit]:
    return [limit for limit in LIMITS if limit.rule is module]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_the_fault_is_named_on_one_side_of_the_limit_and_not_on_the_other(limit):
    assert limit.names(limit.faulty)
    assert not limit.names(limit.silent)


def test_every_rule_has_a_history_that_shows_its_fault_and_a_silent_one():
    assert untested(RULES, LIMITS) == []


def test_a_limit_names_a_constant_that_is_there():
    beside = {module.__name__.rsplit(".", 1)[-1]: module for module in BESIDE}
    for limit in LIMITS:
        home, _, name = limit.constant.rpartition(".")
        assert not name or hasattr(beside[home] if home else limit.rule, name), str(limit)


@pytest.mark.parametrize("module", [*RULES, *BESIDE], ids=lambda m: m.__name__.rsplit(".", 1)[-1])
def test_no_constant_of_a_rule_can_move_unnoticed(module, monkeypatch):
    limits = of(module) if module in RULES else LIMITS
    assert unnoticed(module, limits, monkeypatch) == []


# -- the proofs that these tests can fail ----------------------------------------------------


def planted() -> ModuleType:
    module = ModuleType("famulus.diagnosis.rules.planted")
    module.CAUSE, module.LIMIT = "planted", 0.5

    def rule(share):
        return Finding("planted", "error", "", "") if share > module.LIMIT else None

    module.rule = rule
    return module


def test_a_rule_without_a_test_is_reported():
    module = planted()
    assert untested([*RULES, module], LIMITS) == [module.__name__]
    words = Limit(module, "LIMIT", float, 0.4, 0.6, says=lambda finding: True)
    assert untested([*RULES, module], [*LIMITS, words]) == [module.__name__]
    whole = Limit(module, "LIMIT", float, silent=0.4, faulty=0.6)
    assert untested([*RULES, module], [*LIMITS, whole]) == []


def test_a_rule_that_is_never_silent_or_always_is_reported():
    module = planted()
    assert wrong([Limit(module, "LIMIT", float, silent=0.4, faulty=0.6)]) == []
    for silent, faulty in ((0.6, 0.7), (0.3, 0.4)):
        assert len(wrong([Limit(module, "LIMIT", float, silent, faulty)])) == 1


def test_a_limit_that_no_history_comes_near_is_reported(monkeypatch):
    module = planted()
    near = Limit(module, "LIMIT", float, silent=0.4, faulty=0.6)
    far = Limit(module, "LIMIT", float, silent=0.01, faulty=99.0)
    assert unnoticed(module, [near], monkeypatch) == []
    assert len(unnoticed(module, [far], monkeypatch)) == 2
