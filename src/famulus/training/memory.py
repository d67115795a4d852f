"""The most memory that a piece of work takes, and how much is left. Units: bytes.

On a GPU it is what torch took there. Otherwise it is what this process held at once, with all that
it held before: that is what a machine must have. Linux tells the peak of a stretch of time; where
it can't be asked anew (macOS, some containers), it is the peak since the process began.
"""

import sys
from pathlib import Path
from typing import Self

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MACHINE = Path("/proc/meminfo")
RESET_PEAK = "5"  # proc(5), clear_refs


class Peak:
    """`with Peak(device) as peak: ...`; then `peak.bytes`, None where nobody tells."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bytes: int | None = None

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self.fresh = _reset()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        else:
            # too high, perhaps, rather than none
            self.bytes = _most_resident() if self.fresh else _most_ever()


def available(device: torch.device) -> int | None:
    """What can still be taken there; None where nobody tells. A container's limit is not seen."""
    if device.type == "cuda":
        # of the driver: other processes hold memory there too
        return torch.cuda.mem_get_info(device)[0]
    return _line(MACHINE, "MemAvailable:")


def _reset() -> bool:
    """Whether the peak counts from now on."""
    try:
        CLEAR.write_text(RESET_PEAK)
    except OSError:
        return False
    # The write may pass where no peak is shown.
    return _most_resident() is not None


def _most_resident() -> int | None:
    return _line(STATUS, "VmHWM:")


def _line(file: Path, name: str) -> int | None:
    """The line 'name  1234 kB' of a file of the kernel's."""
    try:
        lines = file.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _most_ever() -> int | None:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, else kB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
