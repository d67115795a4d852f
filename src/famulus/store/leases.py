"""Who may write to a run: a lease lives while its heartbeat changes.

Clocks of two machines are never compared. An observer notes when *it* first saw a beat, by its own
monotonic clock; a beat that stays the same for `lease_s` ends the lease. A process that is known
to be dead (same host, boot and process namespace) ends it at once.
"""

import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEAT_S = 30.0  # seconds between two heartbeats
# ten beats: a paused machine or a slow disk must not lose its run
LEASE_S = 300.0  # seconds without a change after which a run may be taken over
BEATS = 10  # at least, in a lease


class LeaseObserver:
    """Remembers when it first saw each beat."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[bytes, float]] = {}

    def unchanged_s(self, key: str, beat: bytes) -> float:
        """Seconds since this observer first saw this very beat: 0 at the first sight."""
        now = self._clock()
        seen = self._seen.get(key)
        if seen is None or seen[0] != beat:
            self._seen[key] = (beat, now)
            return 0.0
        return now - seen[1]


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        # macOS has no process namespaces: the machine is one.
        return f"{sys.platform}-{uuid.getnode():x}" if sys.platform == "darwin" else None


def _started(pid: int) -> tuple[str, str] | None:
    """(state, start time in ticks since boot) of a process from /proc, None if there is none.

    Source: proc_pid_stat(5); the name in parentheses may itself hold spaces and parentheses.
    """
    stat = _read(f"/proc/{int(pid)}/stat")
    if stat is None:
        return None
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def this_process() -> dict[str, Any]:
    """What another process needs to tell whether this one is dead."""
    pid = os.getpid()
    started = _started(pid)
    return {
        "host": socket.gethostname(),
        # numbers and start times of processes begin anew with each boot
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        # in two containers one number names two processes
        "namespace": _namespace(),
        "pid": pid,
        "started": started[1] if started else None,
    }


def known_dead(process: dict[str, Any]) -> bool:
    """True only if `process` was one of this machine and namespace, and is gone for certain."""
    here = this_process()
    if here["namespace"] is None:
        return False
    if any(process.get(key) != here[key] for key in ("host", "boot", "namespace")):
        return False
    pid = process.get("pid")
    # To os.kill, 0 and negative numbers are whole groups of processes.
    if not isinstance(pid, int) or pid <= 0:
        return False
    if here["started"] is None:  # no /proc: a number that nobody has is all that can be seen
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it lives, and is somebody else's
            return False
        return False
    now = _started(pid)
    # A zombie is dead, only not waited for; another start time means that the number was reused.
    return now is None or now[0] in "ZX" or now[1] != process.get("started")
