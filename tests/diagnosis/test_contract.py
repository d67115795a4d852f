"""How much of a constant's error a monitored loop has left, from what its batches say."""

import pytest

from famulus.diagnosis.contract import learned, left
from tests.diagnosis.rules.limits.limit import run

CLASSES = {"accuracy": 0.91, "most": 0.91, "left": 1.0}  # the rare class is never answered
FORMS = {  # what three batches say, what is left
    "of a known loss, errors in its unit": ({"loss": "mse", "left": 2.0, "agreement": 0.9}, 2.0),
    "of a known term of it as well": ({"part": "mse", "left": 2.0, "agreement": 0.9}, 2.0),
    "of an unknown loss, once scale and offset are right": (
        {"loss": None, "left": 2.0, "agreement": 0.8},
        0.2,
    ),
    "never more than the errors themselves": ({"loss": None, "left": 0.3, "agreement": 0.0}, 0.3),
    "a rare class that is known to be likelier": (
        {**CLASSES, "loss": "bce", "agreement": 0.4},
        0.6,
    ),
    "and one of which nothing is known": ({**CLASSES, "loss": "bce", "agreement": 0.0}, 1.0),
    "answers alone show that classes are learned": ({**CLASSES, "agreement": 0.99}, 0.1),
}


@pytest.mark.parametrize("case", FORMS)
def test_what_is_left(case):
    form, share = FORMS[case]
    history = run(probes=[{"step": n, "layers": [], "forms": form} for n in range(3)])
    assert left(history) == pytest.approx(share)
    assert not learned(history)
