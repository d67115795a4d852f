"""Are the variants of each family what they claim to be?

    python -m benchmarks.programs [FAMILY...]

runs every variant at three seeds beside a monitor that does nothing: sound ones must be good, by
the program's own measure on held-out data, and faulty ones must not.
"""

import sys
import time

from benchmarks.programs.frame import Nobody, families

SEEDS = (1, 2, 3)


def main(names: list[str]) -> int:
    wrong = 0
    for each in families():
        if names and each.name not in names:
            continue
        for variant in (*each.sound, *each.faults):
            for seed in SEEDS:
                began = time.perf_counter()
                outcome = each.run(Nobody, seed, variant)
                agrees = outcome.good == (variant in each.sound)
                wrong += not agrees
                seconds = time.perf_counter() - began
                row = f"{each.name:24} {variant:24} {seed} {outcome.score:10.4g}"
                print(row, "good" if outcome.good else "bad ", f"{seconds:5.1f} s", end="")
                print("" if agrees else "   <- not what it claims", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
