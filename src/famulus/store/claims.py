"""Taking a run over: who may write to it, and from which checkpoint.

A claim creates the next attempt exclusively, once the one before has ended, is known to be dead,
or has not beaten for a whole lease before this observer's eyes: see store/leases.py.
"""

import time

from famulus.config.errors import Busy, StoreError
from famulus.store import layout, records
from famulus.store.attempt import Attempt
from famulus.store.leases import LEASE_S, known_dead, this_process
from famulus.store.run import Run, died


def claim(run: Run, lease_s: float = LEASE_S, wait_s: float = 0.0, poll_s: float = 1.0) -> Attempt:
    """A new attempt, from the newest complete checkpoint.

    Raises Busy while another's lease lives, after trying for `wait_s` seconds (a lost process of
    another machine takes `lease_s` to be sure of), and StoreError if the run is finished.
    """
    # monotonic: the wall clock may be set meanwhile
    until = time.monotonic() + wait_s
    while True:
        try:
            return _claim(run, lease_s)
        except Busy:
            remaining_s = until - time.monotonic()
            if remaining_s <= 0:
                raise
            time.sleep(min(poll_s, remaining_s))


def _claim(run: Run, lease_s: float) -> Attempt:
    if run.done() is not None:
        raise StoreError(
            f"{run.path} is finished: expected an unfinished run; extend it, or resume it with"
            " a changed setting"
        )
    attempts = run.attempts()
    last = attempts[-1] if attempts else None
    if last is not None and last["ended"] is None and not known_dead(last.get("process") or {}):
        still_s = _unchanged_s(run, layout.beat(run.path, last["n"]))
        if still_s < lease_s:
            process = last.get("process") or {}
            raise Busy(
                f"{run.path} is running (attempt {last['n']}, host {process.get('host', '?')},"
                f" process {process.get('pid', '?')}): expected a heartbeat unchanged for"
                f" {lease_s:g} s, received {still_s:.0f} s; wait, or stop that process"
            )
    n = last["n"] + 1 if last else 1
    # before the claim: its record names the checkpoint, and is never changed
    steps = run.checkpoints()
    start = run.manifest(steps[-1]) if steps else None
    record = {
        "n": n,
        "time": records.now(),
        "process": this_process(),
        "lease_s": lease_s,
        "start_from": steps[-1] if steps else None,
        "origin": [start["attempt"], start["segments"]] if start else None,
    }
    if not run.files.create(layout.attempt(run.path, n), records.encode(record)):
        raise Busy(f"{run.path}: expected to start attempt {n}, received another's; wait")
    if last is not None and last["ended"] is None:
        # whoever was killed could not say so itself; one that only slept has lost the run, too
        lost = {"reason": "lost", "why": died(last), "time": records.now()}
        run.files.create(layout.ended(run.path, last["n"]), records.encode(lost))
    # Only now: before the attempt was ours, such files could be a living writer's.
    _sweep(run)
    return Attempt(run, n, steps[-1] if steps else None, lease_s)


def _unchanged_s(run: Run, beat: str) -> float:
    """Seconds for which the beat was seen as it is; its path tells two attempts' beats apart."""
    try:
        content = run.files.read(beat)
    except FileNotFoundError:
        content = b""
    return run.home.observer.unchanged_s(run.path, content + beat.encode())


def _sweep(run: Run) -> None:
    """Removes what a killed writer left: half-written files, checkpoints without manifest."""
    for folder in ("attempts", "lineage", "events", "checkpoints", "pictures"):
        run.files.sweep(f"{run.path}/{folder}")
    complete = set(run.checkpoints())
    for name in run.files.folders(layout.checkpoints(run.path)):
        # also those that a dead branch of the line left: its steps will be written anew
        if name.isdigit() and int(name) not in complete:
            run.files.remove(layout.checkpoint(run.path, int(name)))
