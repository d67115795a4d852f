"""What a task states of its runs, and what is recorded of it."""

import pytest

from famulus.config.errors import ConfigError
from famulus.tasks.base import Changes, Facts


def test_what_is_not_said_is_absent():
    assert Facts().json() == {}
    stated = Facts(loss="mean L1", numbers=784, shown={"classes": ["a", "b"], "kl": ""})
    assert stated.json() == {"loss": "mean L1", "numbers": 784, "classes": ["a", "b"], "kl": ""}
    whole = Facts(
        loss_scale="log",
        noisy_targets=True,
        targets="frozen",
        without_effect=("data.filter",),
        changes=Changes("growth", 480),
    )
    assert whole.json() == {
        "loss_scale": "log",
        "noisy_targets": True,
        "targets": "frozen",
        "without_effect": ("data.filter",),
        "changes": {"what": "growth", "until_inputs": 480},
    }


def test_a_plain_mapping_says_the_same():
    """As tasks of 0.1.0 state it."""
    plain = {"loss": "nats", "changes": {"what": "growth", "until_inputs": 9}, "classes": [1, 2]}
    facts = Facts.of(plain)
    assert facts == Facts(loss="nats", changes=Changes("growth", 9), shown={"classes": [1, 2]})
    assert facts.json() == plain
    assert Facts.of(facts) is facts
    assert Facts.of({}).json() == {}


def test_anything_else_is_named():
    with pytest.raises(ConfigError, match=r"expected famulus.api.Facts, received a list"):
        Facts.of(["loss"])
