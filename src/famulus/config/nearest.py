"""The name that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 12  # more names than this don't help in one line


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of `names`, or None if nothing is close. Case and `-`/`_` don't count."""
    # reversed: of names that differ in case alone the first one stays
    plain = {_plain(n): n for n in sorted(names, reverse=True)}
    wanted = _plain(name)
    # `batchsize` for `batch`: a name that continues another is a near miss that ratios underrate
    begins = [n for n in plain if len(n) > 2 and (wanted.startswith(n) or n.startswith(wanted))]
    close = get_close_matches(wanted, plain, n=1, cutoff=0.6)
    candidates = close or sorted(begins, key=len, reverse=True)
    return plain[candidates[0]] if candidates and wanted else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """`did you mean 'batch'?`, or the list of what is allowed."""
    known = sorted(names)
    if match := nearest(name, known):
        return f"did you mean '{match}'?"
    if not known:
        return "no name is expected here"
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"expected one of {', '.join(known[:SHOWN])}{rest}"


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
