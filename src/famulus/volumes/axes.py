"""Which axis of a file is which: by name, never by place.

A file says `TZCYX`, `CZYX`, `xyz`; a volume is ZYX. Channels and times beside the three are chosen
by number, and a file with several of them is refused until one is.
"""

from typing import NamedTuple

from famulus.config.errors import DataError

CHOSEN = {"C": ("channel", "channels"), "T": ("time", "times")}


class Unchosen(DataError):
    """One of several channels or times must be named: `axis` is C or T."""

    axis: str


class Choice(NamedTuple):
    """Places of z, y, x among a file's axes (z None: there is none), and the fixed others."""

    order: tuple[int | None, int, int]
    fixed: dict[int, int]


def choose(
    where: object,
    names: str,
    sizes: tuple[int, ...],
    channel: int | None = None,
    time: int | None = None,
) -> Choice:
    """Raises DataError naming axes, sizes and key; `Unchosen` where a channel or time must be
    named. Axes of size 1 need no name."""
    names = names.upper()
    shown = f"axes {names} of sizes {', '.join(map(str, sizes))}"
    asked = {"C": channel, "T": time}
    for axis, number in asked.items():
        key, many = CHOSEN[axis]
        size = sizes[names.index(axis)] if axis in names else 1
        if number is not None and not 0 <= number < size:
            few = f"0 to {size - 1}" if size > 1 else f"none, the file has no {many}"
            raise DataError(f"{where}: data.{key}: expected {few}, received {number} ({shown})")
        if number is None and size > 1:
            error = Unchosen(
                f"{where}: {shown}: {size} {many} are not one volume: name one, as in "
                f"data: {{{key}: 0}} (data convert: --{key} 0)"
            )
            error.axis = axis
            raise error
    places = {axis: names.index(axis) for axis in "ZYX" if names.count(axis) == 1}
    others = [
        i
        for i, (axis, n) in enumerate(zip(names, sizes, strict=True))
        if n > 1 and axis not in CHOSEN and places.get(axis) != i
    ]
    if "Y" not in places or "X" not in places or others:
        raise DataError(f"{where}: expected (z, y, x) and at most channels and times: {shown}")
    taken = set(places.values())
    fixed = {i: asked.get(a) or 0 for i, a in enumerate(names) if i not in taken}
    return Choice((places.get("Z"), places["Y"], places["X"]), fixed)
