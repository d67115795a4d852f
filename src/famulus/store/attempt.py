"""One writer of a run: buffered events, checkpoints, and a heartbeat of its own thread.

Everything written carries the attempt's number. A writer that finds a newer attempt stops.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from famulus.config.errors import FamulusError, StoreError
from famulus.store import events as lines
from famulus.store import failure, layout, records
from famulus.store.leases import BEAT_S, BEATS, LEASE_S
from famulus.store.run import Run

# a service bills each object, and a segment is never written to again
FLUSH_S = 30.0  # seconds between two segments, apart from those before checkpoints


class Superseded(StoreError):
    """A newer attempt has taken the run over: this writer must stop."""


class Attempt:
    """Attempt `n` of a run, made by `claims.claim`. `start_from`: step of its checkpoint, or None.

    As a context manager it ends with `interrupted`, or with `error`, its reason and its place where
    an exception other than KeyboardInterrupt leaves it, unless `finish` was called.
    """

    def __init__(self, run: Run, n: int, start_from: int | None, lease_s: float = LEASE_S) -> None:
        self.run = run
        self.n = n
        self.start_from = start_from
        self._files = run.files
        self._buffer: list[dict[str, Any]] = []
        self._segments = 0
        self._flushed_at = time.monotonic()
        self._lock = threading.RLock()  # re-entrant: a checkpoint flushes within it
        self._over = threading.Event()
        self._beats = 0
        self._began = time.monotonic()
        # seconds of training so far, over all attempts: whoever trains knows better than the wall
        self.seconds: Callable[[], float] = lambda: time.monotonic() - self._began
        self.beat_error: FamulusError | None = None
        # First in this thread: a store that can't be written to is an error at once.
        self.beat()
        threading.Thread(
            # A weak reference, or the thread would keep a forgotten attempt beating for ever.
            target=_keep_beating,
            # ten in a lease: one that is late must not cost the run
            args=(weakref.ref(self), self._over, min(BEAT_S, lease_s / BEATS)),
            name=f"beat-{run.id}",
            daemon=True,
        ).start()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if self._over.is_set():
            return
        # The run is another's now: nothing more is written, not even an end.
        if isinstance(error, Superseded):
            self.close()
            return
        try:
            if error is None or isinstance(error, KeyboardInterrupt):
                self.end("interrupted")
            else:
                self.end("error", **failure.facts(error), seconds=self.seconds())
        except StoreError:
            self.close()
            # The exception on its way out matters more than that it could not be recorded.
            if error is None:
                raise

    # heartbeat

    def beat(self) -> None:
        """Says that this writer lives; its own thread calls it every 30 s or tenth of a lease."""
        self._beats += 1
        record = {"beats": self._beats, "time": records.now()}
        self._files.write(layout.beat(self.run.path, self.n), records.encode(record))

    def close(self) -> None:
        """Stops the heartbeat and writes nothing more."""
        self._over.set()

    # events

    def record_lineage(self, data: Mapping[str, Any]) -> None:
        """What this attempt is made of, as `lineage.collect` gathers it, with its parent."""
        record = {"attempt": self.n, "time": records.now(), **data}
        self._files.write(layout.lineage(self.run.path, self.n), records.encode(record))

    def emit(self, event: Mapping[str, Any]) -> None:
        """Buffers an event; at most once in 30 s the buffer becomes a segment."""
        if "kind" not in event:
            raise ValueError(f"expected an event with a kind, received {sorted(event)}")
        with self._lock:
            self._buffer.append(dict(event))
            if time.monotonic() - self._flushed_at >= FLUSH_S:
                self.flush()

    def flush(self) -> None:
        """Writes the buffer as one immutable segment. Raises Superseded, StoreError.

        If writing fails, the events stay in the buffer for the next flush.
        """
        with self._lock:
            self._stop_if_superseded()
            if self._buffer:
                path = layout.segment(self.run.path, self.n, self._segments)
                with self._told_if_superseded():
                    self._files.write(path, lines.encode(self._buffer))
                # after the write: a segment that failed is tried again under its own name
                self._segments += 1
                self._buffer.clear()
            self._flushed_at = time.monotonic()

    # checkpoints and pictures

    def save_checkpoint(
        self,
        step: int,
        files: Mapping[str, bytes | Path],
        state: Mapping[str, Any],
        tags: Iterable[str] = (),
    ) -> None:
        """A checkpoint that exists once its manifest does, which is written last.

        Events are flushed first, so that the curve reaches every checkpoint. Raises Superseded,
        StoreError; then the checkpoints before it are as they were.
        """
        with self._lock:
            self.flush()
            folder = layout.checkpoint(self.run.path, step)
            manifest = layout.manifest(self.run.path, step)
            before = records.read(self._files, manifest)
            # Another attempt's stays valid until ours replaces it: its files have other names.
            if before is not None and before.get("attempt") == self.n:
                self._files.remove(manifest)  # its files are about to change: after a rollback
            given = {**files, "state.json": records.state(dict(state))}
            stored = {name: layout.checkpoint_file(name, self.n) for name in given}
            entries = {}
            try:
                for name, content in given.items():
                    with self._told_if_superseded():
                        # of the bytes as they were handed over: what is read back is held against
                        # that
                        size, digest = self._put(f"{folder}/{stored[name]}", content)
                    entries[name] = {"file": stored[name], "size": size, "sha256": digest}
                record = {
                    "version": layout.VERSION,
                    "step": step,
                    "attempt": self.n,
                    # how far the curve had come: what lies beyond is not seen after a resume
                    "segments": self._segments,
                    "time": records.now(),
                    "tags": sorted(set(tags)),
                    "files": entries,
                }
                # Once more: writing the files may have taken longer than a lease.
                self._stop_if_superseded(manifest)
                self._files.write(manifest, records.encode(record))
            except StoreError:
                for name in stored.values():  # our own only: a successor may write here as well
                    self._drop(f"{folder}/{name}")
                raise

    def _put(self, path: str, content: bytes | Path) -> tuple[int, str]:
        if isinstance(content, Path):
            return self._files.copy_in(content, path)
        self._files.write(path, content)
        return len(content), hashlib.sha256(content).hexdigest()

    def _drop(self, path: str) -> None:
        """Gives the space back."""
        try:
            self._files.remove(path)
        except StoreError:
            return  # the first error is the one to show

    def tag(self, step: int, tags: Iterable[str]) -> None:
        """Sets the tags (`best`, ...) of a checkpoint that exists."""
        self._stop_if_superseded()
        manifest = {**self.run.manifest(step), "tags": sorted(set(tags))}
        self._files.write(layout.manifest(self.run.path, step), records.encode(manifest))

    def prune(self, keep: Iterable[int]) -> None:
        """Removes all complete checkpoints but `keep`; each manifest first."""
        kept = set(keep)
        self._stop_if_superseded()
        for step in self.run.checkpoints():
            if step not in kept:
                # A checkpoint without its manifest is none, so a kill in between leaves no broken
                # one.
                self._files.remove(layout.manifest(self.run.path, step))
                self._files.remove(layout.checkpoint(self.run.path, step))

    def save_picture(self, name: str, png: bytes) -> str:
        """Path relative to the run, as a picture event's `file` holds it."""
        # at once and not with a segment: an event must never name a picture that is not there
        path = layout.picture(self.run.path, name)
        self._files.write(path, png)
        return path.removeprefix(self.run.path + "/")

    # the end

    def end(self, reason: str, **facts: Any) -> None:
        """Frees the lease: `interrupted`, `rollback` or `error`, and with what (`why`, `error`,
        `seconds` of training in all attempts). The run can be claimed again at once."""
        try:
            self.flush()
        finally:
            self.close()
        self._record_end(reason, facts)

    def _record_end(self, reason: str, facts: Mapping[str, Any]) -> None:
        record = {"reason": reason, "time": records.now(), **facts}
        if facts.get("seconds") is not None:
            record["seconds"] = round(facts["seconds"], 3)
        self._files.create(layout.ended(self.run.path, self.n), records.encode(record))

    def finish(self, done: Mapping[str, Any]) -> bool:
        """Creates done.json: False if another attempt was first. Raises Superseded."""
        try:
            self.flush()
        finally:
            self.close()
        record = {**done, "attempt": self.n, "time": done.get("time") or records.now()}
        # created, not written: two attempts may both believe that they are the last
        won = self._files.create(layout.done(self.run.path), records.encode(record))
        failed = done.get("status") == "failed"
        facts = {"why": done.get("reason") or "", "seconds": done.get("seconds")} if failed else {}
        self._record_end("failed" if failed else "finished", facts)
        return won

    @contextlib.contextmanager
    def _told_if_superseded(self) -> Iterator[None]:
        """A successor sweeps half-written files, also ours: then that is what to say."""
        try:
            yield
        except StoreError:
            self._stop_if_superseded()
            raise

    def _stop_if_superseded(self, manifest: str | None = None) -> None:
        """Raises Superseded if there is a newer attempt, or one that wrote `manifest`.

        Also where another attempt has finished the run, as a predecessor can that was cut off
        behind its last look: the finished run's checkpoints must stay as they are.
        """
        done = records.read(self._files, layout.done(self.run.path))
        if done is not None and done.get("attempt") != self.n:
            self.close()
            raise Superseded(
                f"{self.run.path}: expected an unfinished run, received the done.json of another"
                f" attempt than this ({self.n}); it stands, and this one stops"
            )
        newer = self._files.exists(layout.attempt(self.run.path, self.n + 1))
        if manifest is not None and not newer:
            newer = (records.read(self._files, manifest) or {}).get("attempt", 0) > self.n
        if newer:
            self.close()
            raise Superseded(
                f"{self.run.path}: expected to be the newest attempt ({self.n}), received attempt"
                f" {self.n + 1} of another process, which goes on; this one stops"
            )


def _keep_beating(attempt: weakref.ref[Attempt], over: threading.Event, every_s: float) -> None:
    """Beats until the attempt is over or forgotten. An error is kept, and the next beat tried."""
    while not over.wait(every_s):
        living = attempt()
        if living is None:
            return
        try:
            living.beat()
            living.beat_error = None
        except (FamulusError, OSError) as error:
            living.beat_error = StoreError(str(error))
        # Or this name would keep the attempt alive while the thread waits.
        del living
