"""Every rule on either side of its limits: one entry a limit, two histories that differ in the one
quantity judged. A rule without an entry is reported by `test_every_rule.py`."""

from tests.diagnosis.rules.limits import (
    of_curves,
    of_forms,
    of_layers,
    of_loops,
    of_pace,
    of_samples,
    of_scores,
)

LIMITS = (
    *of_curves.LIMITS,
    *of_forms.LIMITS,
    *of_layers.LIMITS,
    *of_loops.LIMITS,
    *of_pace.LIMITS,
    *of_scores.LIMITS,
    *of_samples.LIMITS,
)
