"""The casebook: small experiments whose trouble is known beforehand, and what the doctor says.

A case is an experiment file whose `expect:` has a `finding:` - a cause that must be named, or none.
It is planned, checked by the controls, trained and diagnosed as any other. A refusal that names a
cause counts as a finding: what never starts can't waste a night.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from famulus.config.errors import ConfigError, FamulusError, cause_of
from famulus.config.experiment import Plan
from famulus.config.matrix import same
from famulus.config.schema import FindingExpect
from famulus.diagnosis.comparison import Compared, compare
from famulus.diagnosis.history import Finding, from_events
from famulus.diagnosis.verdict import GRAVE, diagnose
from famulus.launch.actions import read_plan
from famulus.launch.board import Board
from famulus.launch.local import run_cells
from famulus.launch.plan import Ready, prepare
from famulus.launch.session import Session
from famulus.store.provenance import PACKAGE, digest
from famulus.store.store import Store
from famulus.tasks import faults

FOLDER = Path("experiments/cases")
OVERRIDES = ["training.threads=1"]  # small nets lose by sharing, and no time goes into measuring it
CONTROLS_S = 60.0  # of controls for each case, at most; a few where the machine has nothing else
NONE = "none"
OF_COMPARISONS = ("comparison-confounded", "within-the-noise")


@dataclass
class CaseOutcome:
    """What became of one case. `cells`: the findings of each, root causes first."""

    name: str
    expected: str  # a cause, or none
    severity: str = "warning"  # of a healthy case: from here on a finding is a false alarm
    how: str = "trained"  # refused | trained | error
    cells: list[list[Finding]] = field(default_factory=list)
    across: list[Finding] = field(default_factory=list)  # over all cells, beside each other
    seconds: float = 0.0
    error: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing is to be found."""
        return self.expected == NONE

    @property
    def first(self) -> bool:
        """The right cause is the first finding, in every cell that shows it."""
        return bool(self._judged) and all(f and f[0].cause == self.expected for f in self._judged)

    @property
    def _judged(self) -> list[list[Finding]]:
        """A comparison is at fault where its cells, one by one, are not."""
        return [self.across] if self.expected in OF_COMPARISONS else self.cells

    @property
    def among(self) -> bool:
        """The right cause is found, as a root or under another one."""
        return bool(self._judged) and all(
            any(f.cause == self.expected for f in found) for found in self._judged
        )

    @property
    def alarms(self) -> list[str]:
        """Of a healthy case: causes as grave as its file promises that there are none."""
        if not self.healthy:
            return []
        findings = [f for cell in (*self.cells, self.across) for f in cell]
        least = GRAVE.index(self.severity) if self.severity in GRAVE else 0
        return sorted({f.cause for f in findings if f.severity in GRAVE[least:]})

    @property
    def named(self) -> list[str]:
        """Root causes that were named, in order."""
        findings = [f for cell in (self.across, *self.cells) for f in cell]
        return list(dict.fromkeys(f.cause for f in findings if not f.under))

    def json(self) -> dict[str, Any]:
        return {
            "case": self.name,
            "expected": self.expected,
            "how": self.how,
            "first": None if self.healthy else self.first,
            "among": None if self.healthy else self.among,
            "false_alarms": self.alarms,
            "named": self.named,
            "findings": [[f.event() for f in found] for found in self.cells],
            "across": [f.event() for f in self.across],
            "seconds": round(self.seconds, 1),
            "error": self.error,
        }


def files(names: Sequence[str], folder: Path = FOLDER) -> list[Path]:
    """Case files: all of `folder`, or those named by stem, path or folder. Raises ConfigError."""
    if not names:
        files = sorted(folder.glob("*.yaml"))
        if not files:
            raise ConfigError(f"{folder}: no case here; name files or folders of cases")
        return files
    chosen = []
    for name in names:
        path, stem = Path(name), folder / f"{name}.yaml"
        if path.is_dir():
            chosen += sorted(path.rglob("*.yaml"))
        elif path.is_file():
            chosen.append(path)
        elif stem.is_file():
            chosen.append(stem)
        else:
            raise ConfigError(f"{name}: no case of that name in {folder}, no file and no folder")
    return list(dict.fromkeys(chosen))


def run_cases(
    chosen: Sequence[Path],
    store: Store | None = None,
    *,
    budget_s: float | None = None,
    told: Callable[[CaseOutcome], None] = lambda outcome: None,
) -> list[CaseOutcome]:
    """Every case in turn. `store`: kept, so that finished runs are only judged anew.

    `budget_s`: of the controls, for each case; 0 for none.
    """
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        kept = store or Store.open(folder)
        for path in chosen:
            outcome = run_case(path, kept, budget_s)
            told(outcome)
            outcomes.append(outcome)
    return outcomes


def run_case(path: Path, store: Store, budget_s: float | None = None) -> CaseOutcome:
    """Plan, controls, training, verdict. Raises ConfigError for a file that expects no finding."""
    started = time.perf_counter()
    outcome = CaseOutcome(path.stem, *_written(path))
    session = Session(store, faults(), silent=True)
    try:
        # As it stands first: an override must not be what is refused, or mended.
        read_plan(path, (), session.modules)  # a refusal speaks of the file alone
        plan = read_plan(path, OVERRIDES, session.modules)
        _train(outcome, plan, prepare(session, plan), session, budget_s)
    except FamulusError as error:
        _refuse(outcome, str(error), cause_of(error))
    except Exception as error:  # a broken case must not end the book
        _refuse(outcome, f"{type(error).__name__}: {error}", cause_of(error))
    outcome.seconds = time.perf_counter() - started
    return outcome


def _written(path: Path) -> tuple[str, str]:
    """Cause and severity that the file expects, read without judging the rest: a case may be meant
    to be refused."""
    from famulus.config.yaml import load

    value = load(path.read_text(encoding="utf-8"), str(path)).value
    promises = value.get("expect") if isinstance(value, dict) else None
    for promise in promises or []:
        if isinstance(promise, dict) and "finding" in promise:
            return str(promise["finding"]), str(promise.get("severity", "warning"))
    raise ConfigError(f"{path}: a case expects a finding: a cause, or none")


def _refuse(outcome: CaseOutcome, text: str, cause: str) -> None:
    outcome.how, outcome.error = "refused" if cause else "error", " ".join(text.split())
    if cause:
        outcome.cells.append([Finding(cause, "error", f"refused: {outcome.error}", "")])


def _train(
    outcome: CaseOutcome, plan: Plan, cells: list[Ready], session: Session, budget_s: float | None
) -> None:
    promise = next(p for p in plan.expect if isinstance(p, FindingExpect))
    cells = [c for c in cells if all(same(v, c.axes.get(k)) for k, v in promise.where.items())]
    with Board(Console(quiet=True), silent=True) as board:
        report = run_cells(session, cells, board)
    if report.interrupted:
        raise KeyboardInterrupt
    compared: list[Compared] = []
    for cell in cells:
        if report.outcomes.get(cell.slug) == "error":
            _refuse(outcome, report.errors[cell.slug], report.causes.get(cell.slug, ""))
            continue
        run = session.store.run(cell.experiment, cell.slug, cell.id)
        events = [*_checked(cell, budget_s), *run.curve()]
        history = from_events(run.config(), events, type(cell.task))
        outcome.cells.append(diagnose(history))
        scores = history.val[-1]["values"] if history.val else {}
        compared.append(Compared(run.config(), scores, history.facts))
    outcome.across = compare(compared)


def _checked(cell: Ready, budget_s: float | None) -> Iterator[dict[str, Any]]:
    """Events of the controls."""
    if budget_s == 0:
        return
    from famulus.launch.check import check

    for control in check([cell], CONTROLS_S if budget_s is None else budget_s):
        yield control.event()


def totals(outcomes: Sequence[CaseOutcome]) -> dict[str, Any]:
    """Counts over all cases; `healthy_total` are those in which nothing is to be found."""
    faulty, healthy = ([o for o in outcomes if o.healthy is h] for h in (False, True))
    return {
        "cases_right_first": sum(o.first for o in faulty),
        "cases_right_among": sum(o.among for o in faulty),
        "cases_total": len(faulty),
        "false_alarms": sum(bool(o.alarms) for o in healthy),
        "healthy_total": len(healthy),
        "errors": sum(o.how == "error" for o in outcomes),
        "seconds": round(sum(o.seconds for o in outcomes), 1),
    }


def result(outcomes: Sequence[CaseOutcome]) -> dict[str, Any]:
    """For --json: with the time, and the code that it is a result of."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": digest(PACKAGE)[:16],  # a result with another one is older or newer
        **totals(outcomes),
        "cases": [o.json() for o in outcomes],
    }


def lines(outcomes: Sequence[CaseOutcome]) -> Iterator[str]:
    """The table as text."""
    wide = max([len(o.name) for o in outcomes] + [4])
    yield f"{'case':<{wide}}  {'expected':<24} first among      s  named"
    for o in outcomes:
        marks = (
            ("-", "-") if o.healthy else ("yes" if o.first else "NO", "yes" if o.among else "NO")
        )
        named = ", ".join(o.named) or ("" if o.how != "error" else f"error: {o.error}")
        alarm = "FALSE ALARM " if o.alarms else ""
        expected = "(nothing)" if o.healthy else o.expected
        yield (
            f"{o.name:<{wide}}  {expected:<24} {marks[0]:<5} {marks[1]:<5} {o.seconds:6.1f}"
            f"  {alarm}{named}"
        )
    t = totals(outcomes)
    yield (
        f"right cause first {t['cases_right_first']} of {t['cases_total']}, among the findings"
        f" {t['cases_right_among']}; false alarms in {t['false_alarms']} of {t['healthy_total']}"
        f" healthy ones; {t['seconds']:,.0f} s"
    )
