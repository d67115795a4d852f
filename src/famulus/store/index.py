"""A SQLite cache of what `status` shows: for speed only, made again from the files at any time.

A finished run is read once; after that only the time stamp of its folder is looked at (on a remote
store not even that). Unfinished runs are read each time.
"""

import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from famulus.config.errors import StoreError
from famulus.config.names import RUN_FOLDER
from famulus.store import events as lines
from famulus.store import layout, records
from famulus.store.event_kinds import roots
from famulus.store.run import CONTINUED, Home, Run

FORM = 3  # of the table; another one in the cache is thrown away
COPIED = [
    *("reason", "step", "inputs", "seconds", "scores", "best", "findings", "parameters", "rate"),
    "wait",
]


def cache_folder() -> Path:
    """FAMULUS_CACHE, else `famulus` in XDG_CACHE_HOME or ~/.cache."""
    if folder := os.environ.get("FAMULUS_CACHE"):
        return Path(folder).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "famulus"


def cache_file(root: str) -> Path:
    # a cache for each store: a path or a URL is no file's name
    name = hashlib.sha256(root.encode()).hexdigest()[:16]
    return cache_folder() / f"index-{name}.sqlite"


def rows(home: Home, names: list[str], *, whole: bool) -> list[dict[str, Any]]:
    """One row a run of the experiments named, by path; `whole`: they are all that there are.

    Keys: experiment, slug, id, path, status, attempts, started and updated (times of the newest
    attempt, None before), error (why it can't be read, or None); parent (path of the run that it
    goes on from, or None) and parent_gone; of a fork `overrides`, what it set (its slug is its
    parent's); `set`, what stood beside the file, and `repeats`, a run's id; of done.json, the
    newest events or the checkpoint that resumes: reason step inputs seconds scores best findings
    (cause and severity of what is grave) parameters rate wait, None where unknown.
    """
    with closing(_open(cache_file(home.files.root))) as database:
        table: list[dict[str, Any]] = []
        for name in names:
            table += _experiment_rows(home, name, database)
        if whole:
            _forget_others(database, names)
        database.commit()
    for row in table:
        # asked each time: whether another run is still there is not in this one's files
        gone = bool(row["parent"]) and not home.files.exists(layout.config(row["parent"]))
        row["parent_gone"] = gone
    # known and new rows come in any order
    return sorted(table, key=lambda row: row["path"])


def _experiment_rows(home: Home, name: str, database: sqlite3.Connection) -> list[dict[str, Any]]:
    query = "SELECT path, stamp, row FROM runs WHERE experiment = ?"
    known = {path: (stamp, row) for path, stamp, row in database.execute(query, (name,))}
    rows, fresh, present = [], [], set()
    for folder, stamp in home.files.stamps(name).items():
        match = RUN_FOLDER.fullmatch(folder)
        if match is None:
            continue
        path = f"{name}/{folder}"
        present.add(path)
        # what is written later (a note, a reopening) changes the folder's time
        if path in known and known[path][0] == stamp:
            rows.append(json.loads(known[path][1]))
            continue
        row = summary(Run(home, name, match["slug"], match["id"]))
        rows.append(row)
        # A failed run without done.json may still be resumed, so it is read each time.
        if row["status"] in ("finished", "failed") and row["finished"]:
            fresh.append((path, name, stamp, json.dumps(row)))
    database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", fresh)
    database.executemany("DELETE FROM runs WHERE path = ?", [(p,) for p in set(known) - present])
    return rows


def summary(run: Run) -> dict[str, Any]:
    """A run's row, from its files."""
    row: dict[str, Any] = {
        "experiment": run.experiment,
        "slug": run.slug,
        "id": run.id,
        "path": run.path,
        **dict.fromkeys(COPIED),
        "started": None,
        "updated": None,
        "attempts": 0,
        "overrides": None,
        "set": [],
        "repeats": None,
        "finished": False,
        "error": None,
        "parent": None,
    }
    try:
        done = run.done()
        attempts = run.attempts()
        row["attempts"] = len(attempts)
        if attempts:
            row |= _origin(run)
        row["started"] = row["updated"] = attempts[-1].get("time") if attempts else None
        row["status"] = run.status()
        if done:
            row |= {key: done.get(key) for key in COPIED}
            row |= {"finished": True, "updated": done.get("time")}
            if row["findings"] is None:  # 0.1.0 wrote them as events alone
                row["findings"] = roots(e for e in run.events() if e["kind"] == "finding")
        elif attempts:
            row |= _newest(run, attempts[-1]["n"])
            row["reason"] = run.ending().get("reason") or None
    # One damaged run must not hide the others.
    except (StoreError, ValueError, TypeError, KeyError) as error:
        row |= {"status": "unreadable", "error": str(error)}
    return row


def _origin(run: Run) -> dict[str, Any]:
    """Of the first attempt: `overrides`, what a fork set (None of a run that is none); `set`, what
    stood beside the file; `repeats`, the run that this one is a repetition of; `parent`, a path."""
    line = run.lineage(1) or run.lineage()
    parent = line.get("parent")
    parent = parent if isinstance(parent, dict) else {}
    forked = parent.get("kind") in CONTINUED
    command = line.get("command") or []
    words = command.split() if isinstance(command, str) else [str(w) for w in command]
    origin = run.config().get("origin") or {}
    named = {"experiment", "slug", "id"} <= parent.keys()
    return {
        "overrides": [str(o) for o in line.get("overrides") or []] if forked else None,
        "set": [value for flag, value in pairwise(words) if flag == "--set"],
        "repeats": str(origin["run"]) if origin.get("kind") == "rerun" else None,
        "parent": layout.run(*(parent[k] for k in ("experiment", "slug", "id"))) if named else None,
    }


def _newest(run: Run, n: int) -> dict[str, Any]:
    """Progress of an unfinished run, from the last segments of its newest attempt."""
    files = run.files
    names = files.list(layout.segments(run.path, n))
    # by number: as text 10 comes before 9
    ks = sorted((int(m[1]) for x in names if (m := re.fullmatch(r"(\d+)\.jsonl", x))), reverse=True)
    newest: dict[str, Any] = {}
    # A few hold a log and mostly a validation, and `status` must stay quick.
    for k in ks[:3]:
        for event in reversed(list(lines.decode(files.read(layout.segment(run.path, n, k))))):
            if event["kind"] in ("train", "val"):
                newest.setdefault("step", event.get("step"))
                newest.setdefault("inputs", event.get("inputs"))
                newest.setdefault("seconds", event.get("s"))
            if event["kind"] == "train":
                newest.setdefault("rate", event.get("rate"))
                newest.setdefault("wait", event.get("wait"))
            if event["kind"] == "val":
                values = event.get("values") or {}
                newest.setdefault("scores", {f"val/{key}": v for key, v in values.items()})
        if "scores" in newest and "rate" in newest:
            break
    if "inputs" not in newest:  # it died early: what goes on is its checkpoint
        newest |= _at_checkpoint(run)
    beat = records.read(files, layout.beat(run.path, n)) or {}
    return newest | ({"updated": beat["time"]} if beat.get("time") else {})


def _at_checkpoint(run: Run) -> dict[str, Any]:
    """Progress at the checkpoint from which an unfinished run would go on; {} without one."""
    steps, parent = run.checkpoints(), run.parent()
    if steps:
        checkpoint = run.open_checkpoint(steps[-1])
    elif parent is not None and parent[1].get("kind") in CONTINUED:
        step = int(parent[1]["step"])
        if step not in parent[0].checkpoints():
            return {}
        checkpoint = parent[0].open_checkpoint(step)
    else:
        return {}
    if "state.json" not in checkpoint.names:
        return {}
    at = checkpoint.state.get("progress") or {}
    known = {key: at.get(key) for key in ("step", "inputs", "seconds", "scores")}
    return {key: value for key, value in known.items() if value}


def _forget_others(database: sqlite3.Connection, names: list[str]) -> None:
    held = {name for (name,) in database.execute("SELECT DISTINCT experiment FROM runs")}
    gone = [(name,) for name in held - set(names)]
    database.executemany("DELETE FROM runs WHERE experiment = ?", gone)


def _open(path: Path) -> sqlite3.Connection:
    """The cache; a damaged or older one is made anew, and without a folder it is in memory."""
    for fresh in (False, True):
        database = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if fresh:
                path.unlink(missing_ok=True)
            # another `status` writes for a moment only; a lock that lasts is no reason to wait
            database = sqlite3.connect(path, timeout=2.0)
            form = database.execute("PRAGMA user_version").fetchone()[0]
            if form not in (0, FORM):  # 0: SQLite has just made it
                raise sqlite3.DatabaseError("another form")
            _prepare(database)
            return database
        # Before its base class: a lock is no damage, and the file must not be thrown away for it.
        except sqlite3.OperationalError:  # locked, or on a file system that can't lock
            _close(database)
            break
        except sqlite3.DatabaseError:
            _close(database)
        except OSError:
            break
    database = sqlite3.connect(":memory:")
    _prepare(database)
    return database


def _prepare(database: sqlite3.Connection) -> None:
    database.execute(f"PRAGMA user_version = {FORM}")
    database.execute(
        "CREATE TABLE IF NOT EXISTS runs"
        " (path TEXT PRIMARY KEY, experiment TEXT, stamp INTEGER, row TEXT)"
    )
    database.execute("CREATE INDEX IF NOT EXISTS by_experiment ON runs (experiment)")
    # A table of another shape is noticed here, where it can be made anew.
    database.execute("SELECT path, experiment, stamp, row FROM runs LIMIT 1").fetchone()
    database.commit()


def _close(database: sqlite3.Connection | None) -> None:
    if database is not None:
        database.close()
