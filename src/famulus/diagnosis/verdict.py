"""All rules over one history and what its controls found: root causes, their consequences under
them, or that nothing explains what is seen."""

import importlib
import math
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, TypeVar

from famulus.diagnosis import rules
from famulus.diagnosis.causes import EXPLAINS, NAMED_BEFOREHAND
from famulus.diagnosis.history import Event, Finding, History
from famulus.diagnosis.learning import Learning, of_history
from famulus.diagnosis.remedy import Change, Owner
from famulus.diagnosis.rules import cannot_tell

ORDER = {"error": 0, "warning": 1, "info": 2}
GRAVE = ("warning", "error")
# Controls of a few steps: what they made feared, a whole run that learned has refuted.
SHORT = ("overfit one batch", "input", "learning rate")
REFUTED = 0.3  # of a baseline's error gone
# Bit for bit the same answer to zeros: no state of training, but how the net is made.
DEAF = ("predicts-the-mean", "cannot-overfit")
EITHER = (("input-unused", "dead-units"), ("vanishing-gradient", "saturated-units"),
          ("rate-too-high", "exploding-gradient"))  # fmt: skip
TRIED = re.compile(r"[A-Z]\w+\(lr=[^()]+\)")
OF_VERDICT = {"failed": "error", "warning": "warning", "note": "info"}  # of a control


T = TypeVar("T")


def _modules() -> list[ModuleType]:
    names = sorted(m.name for m in pkgutil.iter_modules(rules.__path__))
    return [importlib.import_module(f"{rules.__name__}.{name}") for name in names]


def causes() -> dict[str, str]:
    """Every cause that can be named, with a line each."""
    known = NAMED_BEFOREHAND | {module.CAUSE: module.SUMMARY for module in _modules()}
    return dict(sorted(known.items()))


@dataclass(frozen=True)
class Verdict:
    """findings: root causes, gravest first, each followed by what it explains (`under` names the
    root). skipped: what could not be asked, a sentence each."""

    findings: list[Finding]
    skipped: tuple[str, ...] = ()


def diagnose(history: History) -> list[Finding]:
    """The findings of `judge`."""
    return judge(history).findings


def judge(history: History) -> Verdict:
    """Where a run plainly does not learn and no fault is found, the first one is `cannot-tell`.

    A rule that breaks is skipped and named, and the others go on.
    """
    skipped: list[str] = []

    def asked(what: str, question: Callable[..., T], *of: Any) -> T | None:
        try:
            return question(*of)
        except Exception as error:  # of a history that nobody thought of; the others know theirs
            skipped.append(f"{what} was skipped: {type(error).__name__}: {error}")
            return None

    def rule(module: ModuleType) -> Finding | None:
        return asked(f"rule {module.CAUSE}", module.rule, history)

    named = [rule(module) for module in _modules() if module is not cannot_tell]
    judged = asked("whether anything is learned", of_history, history) or Learning(())
    known = [
        asked(f"control {event['name']}", _of_control, event, history.owner)
        for event in _controls(history, judged)
    ]
    found = _settled(_united(filter(None, [*known, *named])))
    # What is no fault explains nothing of a run that has not learned.
    unexplained = healthy(found) if judged.verdict is False else not found
    lost = rule(cannot_tell) if unexplained else asked("trials", cannot_tell.untried, history)
    tried = _tried(history.controls, named)
    return Verdict(arranged([*filter(None, [lost]), *found], tried), tuple(skipped))


def _controls(history: History, judged: Learning) -> Iterable[Event]:
    """The last word of each control that the run itself has not refuted."""
    controls: Iterable[Event] = history.controls
    if judged.gained(REFUTED):
        controls = [event for event in controls if event["name"] not in SHORT]
    if any("wait" in event for event in history.train):  # measured while it ran
        controls = [event for event in controls if event.get("cause") != "loader-bound"]
    return {str(event["name"]): event for event in controls}.values()


def _tried(controls: Iterable[Event], named: Iterable[Finding | None]) -> frozenset[str]:
    """Causes that a trial alone names: a copy that was trained anew may lack the script's fault."""
    of_trials = {str(e.get("cause")) for e in controls if str(e["name"]).startswith("trial ")}
    return frozenset(of_trials - {finding.cause for finding in named if finding})


def healthy(findings: Iterable[Finding]) -> bool:
    """No finding of warning or above."""
    return not any(finding.severity in GRAVE for finding in findings)


def _of_control(event: Event, owner: Owner) -> Finding | None:
    """What one that failed and knows why says."""
    if not event.get("cause") or event.get("verdict") not in OF_VERDICT:
        return None
    return Finding(
        str(event["cause"]),
        OF_VERDICT[event["verdict"]],
        f"check {event['name']}: {event.get('text', '')}",
        _placed(str(event.get("remedy") or ""), owner),
        event.get("step"),
        DEAF if _deaf(event) else (),
        changes=tuple(
            Change(str(c["path"]), c.get("value"))
            for c in event.get("changes") or ()
            if c.get("path")
        ),
    )


def _placed(remedy: str, owner: Owner) -> str:
    """A trial knows which optimizer it tried, and not where the script makes it."""
    made = TRIED.fullmatch(remedy) and not owner.is_file
    return owner.script.placed(remedy) if made else remedy


def _settled(found: list[Finding]) -> list[Finding]:
    """Of two causes that each may bring the other: the second claims the first, or follows from it.

    Units die where there is nothing to hear, and a net is deaf where all units of a layer are
    dead; units saturate late where gradients vanish, and gradients vanish in flat units.
    """
    by_cause = {f.cause: f for f in found}
    for first, second in EITHER:
        one, other = by_cause.get(first), by_cause.get(second)
        if one and other and first not in other.consequences and one.severity == "error":
            by_cause[first] = replace(one, consequences=(*one.consequences, second))
    return list(by_cause.values())


def _deaf(event: Event) -> bool:
    return event["cause"] == "input-unused" and "gained" not in (event.get("figures") or {})


def _united(found: Iterable[Finding]) -> list[Finding]:
    """One finding a cause: a control and a rule that agree are evidence of the same."""
    by_cause: dict[str, Finding] = {}
    for finding in found:
        before = by_cause.get(finding.cause)
        if before is None:
            by_cause[finding.cause] = finding
            continue
        graver, other = sorted((before, finding), key=lambda f: ORDER[f.severity])
        both = f"{graver.evidence}; {other.evidence}"
        explained = tuple(sorted({*before.consequences, *finding.consequences}))
        by_cause[finding.cause] = replace(graver, evidence=both, consequences=explained)
    return list(by_cause.values())


def arranged(found: list[Finding], tried: frozenset[str] = frozenset()) -> list[Finding]:
    """`found` with each finding below the one that explains it, through however many others.

    Of equally grave roots those of the run itself stand before those `tried` on copies of its net,
    then the one that explains most, then the one that shows earliest.
    """
    rest = found
    grades = {f.cause: f.severity for f in rest}
    explains = {
        # what is no fault explains no fault
        f.cause: {
            c
            for c in (*f.consequences, *EXPLAINS.get(f.cause, ()))
            if c in grades and c != f.cause and (f.severity in GRAVE or grades[c] not in GRAVE)
        }
        for f in rest
    }
    # that a net hears nothing at all is no consequence of what it scores without hearing
    for deaf in (f for f in rest if f.cause == "input-unused"):
        for cause in deaf.consequences:
            explains.get(cause, set()).discard(deaf.cause)
    explained = set().union(*explains.values())

    def place(finding: Finding) -> tuple:
        # A circle of causes has no root: its gravest one is taken for it.
        step = math.inf if finding.step is None else finding.step
        weight = -len(explains[finding.cause])
        grade, late = ORDER[finding.severity], finding.cause in tried
        return finding.cause in explained, grade, late, weight, step, finding.cause

    roots = sorted(rest, key=place)
    placed: dict[str, Finding] = {}
    for root in roots:
        if root.cause in placed:
            continue
        placed[root.cause] = replace(root, consequences=tuple(sorted(explains[root.cause])))
        _below(root.cause, root.cause, explains, {f.cause: f for f in rest}, placed)
    return list(placed.values())


def _below(
    cause: str,
    root: str,
    explains: dict[str, set[str]],
    found: dict[str, Finding],
    placed: dict[str, Finding],
) -> None:
    for name in sorted(explains[cause], key=lambda c: ORDER[found[c].severity]):
        if name not in placed:
            below = tuple(sorted(explains[name]))
            placed[name] = replace(found[name], under=root, consequences=below)
            _below(name, root, explains, found, placed)
