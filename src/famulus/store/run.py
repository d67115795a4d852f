"""One run: a filled config, its attempts, and what they left. Reading only, apart from `claim`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from famulus.config import yaml
from famulus.config.errors import Busy, StoreError
from famulus.store import events as lines
from famulus.store import layout, lineage, records
from famulus.store.attempt import Attempt
from famulus.store.checkpoint import Checkpoint
from famulus.store.leases import LEASE_S, known_dead, this_process

if TYPE_CHECKING:
    from famulus.store.store import Store


class Run:
    """`<experiment>/<slug>-<id>` of a store. `path` is relative to the store's root."""

    def __init__(self, store: Store, experiment: str, slug: str, run_id: str) -> None:
        self.store = store
        self.experiment = experiment
        self.slug = slug
        self.id = run_id
        self.path = layout.run(experiment, slug, run_id)
        self._files = store.files

    def __repr__(self) -> str:
        return f"Run({self.path!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self.store.root, self.path) == (
            other.store.root,
            other.path,
        )

    def __hash__(self) -> int:
        return hash((self.store.root, self.path))

    # what the person and the loop wrote

    def config(self) -> dict[str, Any]:
        path = layout.config(self.path)
        try:
            text = self._files.read(path).decode()
        except FileNotFoundError as error:
            raise StoreError(
                f"expected {self.store.root}/{path}, received no file: the run was not created"
            ) from error
        return yaml.load(text, f"{self.store.root}/{path}").value

    def notes(self) -> str:
        return self._text(layout.notes(self.path))

    def write_notes(self, text: str) -> None:
        self._files.write(layout.notes(self.path), text.encode())

    def done(self) -> dict[str, Any] | None:
        return self._json(layout.done(self.path))

    def picture(self, file: str) -> bytes:
        """PNG of a picture event's `file`. Raises StoreError if there is none."""
        path = layout.picture(self.path, file.removeprefix("pictures/"))
        try:
            return self._files.read(path)
        except FileNotFoundError as error:
            raise StoreError(f"expected a picture {path}, received no file") from error

    # attempts

    def attempts(self) -> list[dict[str, Any]]:
        """Oldest first: n, time, process, start_from, origin, ended (why, or None)."""
        names = self._files.list(layout.attempts(self.path))
        found = []
        for n in sorted(int(s) for name in names if (s := name.removesuffix(".json")).isdigit()):
            data = self._json(layout.attempt(self.path, n)) or {}
            end = self._json(layout.ended(self.path, n)) if f"{n}.end" in names else None
            found.append({**data, "n": n, "ended": end["reason"] if end else None})
        return found

    def status(self) -> str:
        """planned, running, interrupted, failed or finished.

        Without a long look, only the beat's own time tells a lost run of another machine: a clock
        that is wrong can show it wrongly, but `claim` does not go by it.
        """
        done = self.done()
        if done is not None:
            return "failed" if done.get("status") == "failed" else "finished"
        attempts = self.attempts()
        if not attempts:
            return "planned"
        last = attempts[-1]
        if last["ended"] is not None:
            return "failed" if last["ended"] == "error" else "interrupted"
        if known_dead(last.get("process") or {}):
            return "interrupted"
        beat = self._json(layout.beat(self.path, last["n"])) or last
        age_s = time.time() - records.seconds(beat.get("time"))
        return "interrupted" if age_s > float(last.get("lease_s", LEASE_S)) else "running"

    def claim(self, lease_s: float = LEASE_S, wait_s: float = 0.0, poll_s: float = 1.0) -> Attempt:
        """A new attempt, from the newest complete checkpoint.

        Raises Busy while another's lease lives, after trying for `wait_s` seconds (a lost process
        of another machine takes `lease_s` to be sure of), and StoreError if the run is finished.
        """
        until = time.monotonic() + wait_s
        while True:
            try:
                return self._claim(lease_s)
            except Busy:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                time.sleep(min(poll_s, left))

    def reopen(self) -> None:
        """Lets a finished or failed run be claimed again; its done.json is kept beside."""
        done = self.done()
        if done is not None:
            old = layout.reopened(self.path, int(done.get("attempt", 0)))
            self._files.move(layout.done(self.path), old)

    def _claim(self, lease_s: float) -> Attempt:
        if self.done() is not None:
            raise StoreError(
                f"{self.path} is finished: expected an unfinished run; extend it, or resume it with"
                " a changed setting"
            )
        attempts = self.attempts()
        last = attempts[-1] if attempts else None
        if last is not None and last["ended"] is None and not known_dead(last.get("process") or {}):
            key = layout.beat(self.path, last["n"])
            still_s = self.store.observer.unchanged_s(self.path, self._bytes(key) + key.encode())
            if still_s < lease_s:
                process = last.get("process") or {}
                raise Busy(
                    f"{self.path} is running (attempt {last['n']}, host {process.get('host', '?')},"
                    f" process {process.get('pid', '?')}): expected a heartbeat unchanged for"
                    f" {lease_s:g} s, received {still_s:.0f} s; wait, or stop that process"
                )
        n = last["n"] + 1 if last else 1
        steps = self.checkpoints()
        start = self.manifest(steps[-1]) if steps else None
        data = {
            "n": n,
            "time": records.now(),
            "process": this_process(),
            "lease_s": lease_s,
            "start_from": steps[-1] if steps else None,
            "origin": [start["attempt"], start["segments"]] if start else None,
        }
        if not self._files.create(layout.attempt(self.path, n), records.encode(data)):
            raise Busy(f"{self.path}: expected to start attempt {n}, received another's; wait")
        self._clean()
        return Attempt(self, n, data["start_from"], lease_s)

    def _clean(self) -> None:
        """Removes what a killed writer left: half-written files, checkpoints without manifest."""
        for folder in ("attempts", "lineage", "events", "checkpoints", "pictures"):
            self._files.sweep(f"{self.path}/{folder}")
        complete = set(self.checkpoints())
        for name in self._files.folders(layout.checkpoints(self.path)):
            if name.isdigit() and int(name) not in complete:
                self._files.remove(layout.checkpoint(self.path, int(name)))

    # checkpoints

    def checkpoints(self) -> list[int]:
        """Steps of the complete ones on the visible line, ascending.

        What a superseded writer still wrote is not on it.
        """
        line = dict(self._line())
        names = self._files.folders(layout.checkpoints(self.path))
        found = []
        for step in sorted(int(name) for name in names if name.isdigit()):
            manifest = self._json(layout.manifest(self.path, step))
            if manifest is None or manifest.get("attempt") not in line:
                continue
            limit = line[manifest["attempt"]]
            if limit is None or manifest.get("segments", limit + 1) <= limit:
                found.append(step)
        return found

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
        return Checkpoint(self._files, layout.checkpoint(self.path, step), self.manifest(step))

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
        last = int(done.get("attempt", attempts[-1]["n"]))
        return lines.visible(_origins(attempts), last)

    def segment_events(self, n: int, limit: int | None) -> Iterator[dict[str, Any]]:
        """Events of the first `limit` segments (None: all) of attempt n."""
        names = self._files.list(layout.segments(self.path, n))
        present = sorted(int(s) for x in names if (s := x.removesuffix(".jsonl")).isdigit())
        for k in present:
            if limit is None or k < limit:
                yield from lines.decode(self._files.read(layout.segment(self.path, n, k)))

    def line_to(self, attempt: int, segments: int) -> Iterator[dict[str, Any]]:
        """The line as a checkpoint of `attempt` after `segments` segments saw it."""
        for n, limit in lines.visible(_origins(self.attempts()), attempt):
            yield from self.segment_events(n, segments if limit is None else limit)

    def curve(self) -> Iterator[dict[str, Any]]:
        """`events()`, with those of the runs that this one continues in front."""
        yield from lineage.curve(self)

    def lineage(self, n: int | None = None) -> dict[str, Any]:
        """What attempt n (None: the newest that recorded any) was made of; {} if unknown."""
        names = self._files.list(f"{self.path}/lineage")
        have = sorted(int(s) for x in names if (s := x.removesuffix(".json")).isdigit())
        wanted = n if n is not None else (have[-1] if have else None)
        return (self._json(layout.lineage(self.path, wanted)) or {}) if wanted is not None else {}

    # small helpers

    def _bytes(self, path: str) -> bytes:
        try:
            return self._files.read(path)
        except FileNotFoundError:
            return b""

    def _text(self, path: str) -> str:
        return self._bytes(path).decode(errors="replace")

    def _json(self, path: str) -> dict[str, Any] | None:
        return records.read(self._files, path)


def _origins(attempts: list[dict[str, Any]]) -> dict[int, lines.Origin | None]:
    pairs = ((a["n"], a.get("origin")) for a in attempts)
    return {n: (int(o[0]), int(o[1])) if o else None for n, o in pairs}
