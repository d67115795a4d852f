"""What runs took: time, energy of the device that trained, and its price."""

from collections.abc import Sequence
from dataclasses import dataclass

from famulus.journal.facts.numbers import figure
from famulus.journal.facts.record import Record


@dataclass(frozen=True)
class Cost:
    """Seconds of training; what a child goes on from is paid for once, by its parent."""

    seconds: float
    energy: str  # '310 Wh (whole GPU), 295 W in the mean'; '' where nothing was measured
    price: tuple[float, str] | None  # amount, currency; None where the file gives no rate


def cost_of(records: Sequence[Record]) -> Cost:
    """Of all runs together, at the rate that the first one's file gives for an hour."""
    seconds = sum(r.own_seconds for r in records)
    rate = (records[0].config.get("cost") if records else None) or {}
    price = None
    if rate.get("per_hour"):
        amount = float(rate["per_hour"]) * seconds / 3600
        price = (amount, str(rate.get("currency") or "EUR"))
    return Cost(seconds, energy(records), price)


def energy(records: Sequence[Record]) -> str:
    """'310 Wh (whole GPU), 295 W in the mean'; of how many runs, if not all; '' if none."""
    # 0 is not measured, never free
    metered = [r for r in records if r.energy_wh]
    if not metered:
        return ""
    energy_wh = sum(r.own_energy_wh for r in metered)
    # of the metered runs only: time of the others would thin the mean
    seconds = sum(r.own_seconds for r in metered)
    devices = ", ".join(dict.fromkeys(r.energy_of for r in metered))
    mean = f", {figure(energy_wh * 3600 / seconds)} W in the mean" if seconds else ""
    some = f" of {len(metered)} of {len(records)} runs" if len(metered) < len(records) else ""
    return f"{figure(energy_wh)} Wh{some} (whole {devices}){mean}"
