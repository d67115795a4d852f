"""`python -m tests.check_types`: the types of the package, checked by mypy; `make lint` runs it.

No error may stand in a package, but for those of COUNTED: there tensors flow through modules that
torch can't type, and what is left is a number that may only fall. Who lowers it writes it down.
"""

import re
import sys
from collections import Counter

from mypy import api

COUNTED = {
    "tasks/codes": 156,
    "tasks/pretext": 59,
    "tasks/qsm": 44,
    "tasks/scroll": 43,
    "tasks/tiles": 43,
}
ERROR = re.compile(r"src/famulus/(?P<module>[\w/]+)\.py:\d+: error: ")


def package(module: str) -> str:
    """`tasks/codes` of `tasks/codes/prior`, `store` of `store/run`, `schedule` of itself."""
    first, *rest = module.split("/")
    return f"{first}/{rest[0]}" if first == "tasks" and len(rest) > 1 else first


def verdict(report: str, counted: dict[str, int]) -> list[str]:
    """What is wrong with mypy's report: too many errors of a package, or fewer than written."""
    lines: dict[str, list[str]] = {}
    for line in report.splitlines():
        if match := ERROR.match(line):
            lines.setdefault(package(match["module"]), []).append(line)
    found = Counter({name: len(errors) for name, errors in lines.items()})
    wrong = []
    for name in sorted(found.keys() | counted.keys()):
        most = counted.get(name, 0)
        if found[name] > most:
            wrong += [*lines[name], f"{name}: {found[name]} errors of types, expected {most}"]
        elif found[name] < most:
            wrong.append(f"{name}: {found[name]} errors of types: lower its number in COUNTED")
    return wrong


def main() -> int:
    report, trouble, status = api.run([])
    wrong = verdict(report, COUNTED)
    if trouble or status > 1:
        wrong.append(f"mypy could not check: {trouble or report}")
    print("\n".join(wrong) or f"types: {sum(COUNTED.values())} errors left, where they may be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
