"""One run: a filled config, its attempts, and what they left. Only a claim of it writes more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from famulus.config import yaml
from famulus.config.errors import StoreError
from famulus.store import events as lines
from famulus.store import layout, records
from famulus.store.checkpoint import Checkpoint
from famulus.store.files import Files
from famulus.store.leases import LEASE_S, LeaseObserver, known_dead

CONTINUED = ("resume", "extend")  # kinds of parent that are drawn as one curve with the child
DEEPEST = 100  # parents of parents; more is a circle


@dataclass(frozen=True)
class Home:
    """Where runs lie: the files of a store, and how long their leases were seen unchanged."""

    files: Files
    observer: LeaseObserver = field(default_factory=LeaseObserver)


class Run:
    """`<experiment>/<slug>-<id>` of a store. `path` is relative to the store's root."""

    def __init__(self, home: Home, experiment: str, slug: str, run_id: str) -> None:
        self.home = home
        self.files = home.files
        self.experiment = experiment
        self.slug = slug
        self.id = run_id
        self.path = layout.run(experiment, slug, run_id)

    def __repr__(self) -> str:
        return f"Run({self.path!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self.files.root, self.path) == (
            other.files.root,
            other.path,
        )

    def __hash__(self) -> int:
        return hash((self.files.root, self.path))

    def exists(self) -> bool:
        """Whether it was created: its filled config is there."""
        return self.files.exists(layout.config(self.path))

    # what the person and the loop wrote

    def config(self) -> dict[str, Any]:
        path = layout.config(self.path)
        try:
            text = self.files.read(path).decode()
        except FileNotFoundError as error:
            raise StoreError(
                f"expected {self.files.root}/{path}, received no file: the run was not created"
            ) from error
        return yaml.load(text, f"{self.files.root}/{path}").value

    def built_from(self) -> dict[str, Any] | None:
        """What its net was built from, beside its settings; None of a run older than that file."""
        return self._json(layout.built_from(self.path))

    def write_built_from(self, facts: Mapping[str, Any]) -> None:
        self.files.write(layout.built_from(self.path), records.encode(facts))

    def notes(self) -> str:
        return self._text(layout.notes(self.path))

    def write_notes(self, text: str) -> None:
        self.files.write(layout.notes(self.path), records.text(text))

    def done(self) -> dict[str, Any] | None:
        return self._json(layout.done(self.path))

    def picture(self, file: str) -> bytes:
        """PNG of a picture event's `file`. Raises StoreError if there is none."""
        path = layout.picture(self.path, file.removeprefix("pictures/"))
        try:
            return self.files.read(path)
        except FileNotFoundError as error:
            raise StoreError(f"expected a picture {path}, received no file") from error

    # attempts

    def attempts(self) -> list[dict[str, Any]]:
        """Oldest first: n, time, process, start_from, origin, and how it ended.

        `ended`: finished, failed, interrupted, rollback, error, lost, or None while it runs or
        where nobody has seen its end; beside it, where known, `ended_time`, `why` in words, `error`
        (its type, and the line that raised it) and `seconds` of training in all attempts.
        """
        names = self.files.list(layout.attempts(self.path))
        attempts = []
        for n in sorted(int(s) for name in names if (s := name.removesuffix(".json")).isdigit()):
            data = self._json(layout.attempt(self.path, n)) or {}
            # Asked of the listing: a service bills a request for a file that is not there as well.
            end = self._json(layout.ended(self.path, n)) if f"{n}.end" in names else None
            end = end or {}
            more: dict[str, Any] = {
                key: end[key] for key in ("why", "error", "seconds") if key in end
            }
            more |= {"ended": end.get("reason"), "ended_time": end.get("time"), "n": n}
            attempts.append(data | more)
        return attempts

    def status(self) -> str:
        """planned, running, interrupted, failed or finished.

        Without a long look, only the beat's own time tells a lost run of another machine: a clock
        that is wrong can show it wrongly, but a claim does not go by it.
        """
        done = self.done()
        if done is not None:
            return "failed" if done.get("status") == "failed" else "finished"
        attempts = self.attempts()
        if not attempts:
            return "planned"
        last = attempts[-1]
        if last["ended"] is not None:
            return "failed" if last["ended"] in ("error", "failed") else "interrupted"
        if known_dead(last.get("process") or {}):
            return "interrupted"
        beat = self._json(layout.beat(self.path, last["n"])) or last
        age_s = time.time() - records.seconds(beat.get("time"))
        return "interrupted" if age_s > float(last.get("lease_s", LEASE_S)) else "running"

    def ending(self) -> dict[str, Any]:
        """How the run ended, as far as it did: done.json, else the end of its newest attempt.

        Keys of done.json: status, reason, time, and where known error and seconds; {} of a run that
        is under way or was never begun.
        """
        done = self.done()
        if done is not None:
            return done
        status, attempts = self.status(), self.attempts()
        if not attempts or status == "running":
            return {}
        last = attempts[-1]
        why = last.get("why") or ("" if last["ended"] else died(last))
        known = {"status": status, "reason": why, "time": last.get("ended_time")}
        known |= {key: last.get(key) for key in ("error", "seconds")}
        return {key: value for key, value in known.items() if value is not None}

    # checkpoints

    def checkpoints(self) -> list[int]:
        """Steps of the complete ones on the visible line, ascending.

        What a superseded writer still wrote is not on it.
        """
        line = dict(self._line())
        names = self.files.folders(layout.checkpoints(self.path))
        steps = []
        for step in sorted(int(name) for name in names if name.isdigit()):
            manifest = self._json(layout.manifest(self.path, step))
            if manifest is None or manifest.get("attempt") not in line:
                continue
            limit = line[manifest["attempt"]]
            if limit is None or manifest.get("segments", limit + 1) <= limit:
                steps.append(step)
        return steps

    def manifest(self, step: int) -> dict[str, Any]:
        path = layout.manifest(self.path, step)
        data = self._json(path)
        if data is None or not isinstance(data.get("files"), dict):
            have = ", ".join(map(str, self.checkpoints())) or "none"
            raise StoreError(
                f"expected a checkpoint at step {step} of {self.path}, received no readable"
                f" {path}: it has {have}"
            )
        return data

    def open_checkpoint(self, step: int) -> Checkpoint:
        return Checkpoint(self.files, layout.checkpoint(self.path, step), self.manifest(step))

    def step_of(self, which: str) -> int:
        """Step of `last`, `best` (the newest with that tag) or a number, if it is complete."""
        steps = self.checkpoints()
        if which == "last" and steps:
            return steps[-1]
        if which.isdigit() and int(which) in steps:
            return int(which)
        tagged = [s for s in steps if which in self.manifest(s).get("tags", [])]
        if tagged:
            return tagged[-1]
        have = ", ".join(map(str, steps)) or "none"
        raise StoreError(
            f"expected a checkpoint of {self.path} (last, best or a step), received {which!r}:"
            f" it has {have}"
        )

    def weights(self, which: str = "best") -> bytes:
        """Verified safetensors of the model that was validated: of `best`, `last` or a step.

        The manifest names the file: after a takeover it is `model.2.safetensors` or the like.
        """
        checkpoint = self.open_checkpoint(self.step_of(which))
        return checkpoint.read(checkpoint.weights)

    # events

    def events(self) -> Iterator[dict[str, Any]]:
        """The run's one visible line, oldest first: see store/events.py."""
        for n, limit in self._line():
            yield from self.segment_events(n, limit)

    def _line(self) -> list[tuple[int, int | None]]:
        attempts = self.attempts()
        if not attempts:
            return []
        done = self.done() or {}
        # A predecessor may finish after its successor began: then its line is the run's.
        last = int(done.get("attempt", attempts[-1]["n"]))
        return lines.visible(_origins(attempts), last)

    def segment_events(self, n: int, limit: int | None) -> Iterator[dict[str, Any]]:
        """Events of the first `limit` segments (None: all) of attempt n."""
        names = self.files.list(layout.segments(self.path, n))
        # by number: as text 10 comes before 9
        present = sorted(int(s) for x in names if (s := x.removesuffix(".jsonl")).isdigit())
        for k in present:
            if limit is None or k < limit:
                yield from lines.decode(self.files.read(layout.segment(self.path, n, k)))

    def line_to(self, attempt: int, segments: int) -> Iterator[dict[str, Any]]:
        """The line as a checkpoint of `attempt` after `segments` segments saw it."""
        for n, limit in lines.visible(_origins(self.attempts()), attempt):
            yield from self.segment_events(n, segments if limit is None else limit)

    def parent(self) -> tuple[Run, dict[str, Any]] | None:
        """The run that this one was made from, and the record of it; None without, or if gone."""
        record = self.lineage().get("parent")
        if not isinstance(record, dict):
            return None
        try:
            parent = Run(self.home, record["experiment"], record["slug"], record["id"])
        except (StoreError, KeyError):
            return None
        return (parent, record) if parent.exists() else None

    def curve(self) -> Iterator[dict[str, Any]]:
        """`events()`, before them those of the runs that it continues, each to its checkpoint."""
        chain: list[tuple[Run, dict[str, Any]]] = []
        current = self
        while len(chain) < DEEPEST and (origin := current.parent()) is not None:
            if origin[1].get("kind") not in CONTINUED:
                break
            chain.append(origin)
            current = origin[0]
        for parent, record in reversed(chain):
            yield from parent.line_to(int(record["attempt"]), int(record["segments"]))
        yield from self.events()

    def lineage(self, n: int | None = None) -> dict[str, Any]:
        """What attempt n (None: the newest that recorded any) was made of; {} if unknown."""
        names = self.files.list(f"{self.path}/lineage")
        have = sorted(int(s) for x in names if (s := x.removesuffix(".json")).isdigit())
        wanted = n if n is not None else (have[-1] if have else None)
        return (self._json(layout.lineage(self.path, wanted)) or {}) if wanted is not None else {}

    # small helpers

    def _bytes(self, path: str) -> bytes:
        try:
            return self.files.read(path)
        except FileNotFoundError:
            return b""

    def _text(self, path: str) -> str:
        return self._bytes(path).decode(errors="replace")

    def _json(self, path: str) -> dict[str, Any] | None:
        return records.read(self.files, path)


def died(attempt: Mapping[str, Any]) -> str:
    """What is known of an attempt that recorded no end."""
    process = attempt.get("process") or {}
    return (
        f"its process ({process.get('pid', '?')} on {process.get('host', '?')}) ended without a"
        " word: it was killed, or its machine went down"
    )


def _origins(attempts: list[dict[str, Any]]) -> dict[int, lines.Origin | None]:
    pairs = ((a["n"], a.get("origin")) for a in attempts)
    return {n: (int(o[0]), int(o[1])) if o else None for n, o in pairs}
