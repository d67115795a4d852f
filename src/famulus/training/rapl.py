"""The energy of the CPU packages, from Linux's powercap files (RAPL of Intel and AMD).

`/sys/class/powercap/intel-rapl:N/energy_uj` counts microjoules and starts again after
`max_energy_range_uj`. Zones named `package-*` only: cores are parts of them, `psys` holds them.
Many systems let root alone read the counter. Source: kernel docs, power/powercap.
"""

from pathlib import Path

ROOT = Path("/sys/class/powercap")
MOST_W = 1000.0  # of one package: how soon its counter could start again
LONGEST_S = 60.0  # between two readings


class Packages:
    """All CPU packages together."""

    of = "CPU package"

    def __init__(self, zones: list[Path]) -> None:
        """Raises OSError or ValueError if a file can't be read."""
        self.counters = [zone / "energy_uj" for zone in zones]
        self.ranges_uj = [_number(zone / "max_energy_range_uj") for zone in zones]
        if min(self.ranges_uj) <= 0:
            raise ValueError(f"expected ranges above 0, received {self.ranges_uj}")
        # before it could come round past its last reading, which nobody would see
        self.every_s = min(LONGEST_S, min(self.ranges_uj) / 1e6 / MOST_W)
        self.last_uj = [_number(counter) for counter in self.counters]
        self.sum_uj = 0

    def joules(self) -> float:
        for n, counter in enumerate(self.counters):
            now_uj = _number(counter)
            step_uj = now_uj - self.last_uj[n]
            # smaller than before: it started again, once, as it is read often enough
            self.sum_uj += step_uj if step_uj >= 0 else step_uj + self.ranges_uj[n]
            self.last_uj[n] = now_uj
        return self.sum_uj / 1e6

    def close(self) -> None:
        """Nothing is held."""


def open_packages(root: Path = ROOT) -> Packages | None:
    """The packages of this machine; None if there are none, or one can't be read."""
    try:
        zones = [z for z in sorted(root.glob("intel-rapl:*")) if _is_package(z)]
        return Packages(zones) if zones else None
    except (OSError, ValueError):
        return None


def _is_package(zone: Path) -> bool:
    """Zones of dies are named package-0-die-0; parts of a zone have two numbers in their path."""
    top = zone.name.count(":") == 1
    return top and (zone / "name").read_text().strip().startswith("package-")


def _number(path: Path) -> int:
    return int(path.read_text())
