"""`python -m benchmarks NAME [--quick] [--json]`: prints ratios, measured now, on this machine."""

import argparse
import importlib
import json
import pkgutil
import sys

import benchmarks

HELPERS = {"__main__", "timing", "watched_scripts", "programs", "damage"}
READ_A_STORE = ("forecast", "legacy")  # and train nothing


def names() -> list[str]:
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(n for n in found if n not in HELPERS and not n.startswith("reference_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under 4 minutes")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    told = "forecast, legacy: where the runs lie, folder or URL; may be given again"
    parser.add_argument("--store", action="append", default=[], help=told)
    one = "mutations: a fault by its name; may be given again"
    parser.add_argument("--fault", action="append", default=[], help=one)
    options = parser.parse_args()
    if options.fault and options.name != "mutations":
        parser.error(f"--fault: expected with mutations, received {options.name}")
    if options.store and options.name not in READ_A_STORE:
        parser.error(f"--store: expected with {' or '.join(READ_A_STORE)}, received {options.name}")
    module = importlib.import_module(f"benchmarks.{options.name}")
    more = {"store": options.store} if options.name in READ_A_STORE else {}
    more |= {"faults": options.fault} if options.fault else {}
    figures = module.measure(options.quick, **more)
    if options.json:
        print(json.dumps(figures, indent=1))
        return 0
    if hasattr(module, "told"):
        print(module.told(figures))
        return 0
    width = max(map(len, figures))
    for key, value in figures.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        print(f"{key:<{width}}  {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
