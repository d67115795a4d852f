"""What passes is handed on as it is; the rest is one line that names the option."""

import pytest

from famulus.config.apply_options import LARGEST, flag, known, listed, share, whole
from famulus.config.errors import ConfigError


def test_what_passes():
    assert whole({}, "sample", 16, least=1) == 16
    assert whole({"sample": 1}, "sample", 16, least=1) == 1
    assert whole({"seed": LARGEST}, "seed", 0) == LARGEST
    assert share({"complete": 0}, "complete") == 0.0
    assert flag({}, "features") is False
    assert flag({"features": True}, "features") is True


@pytest.mark.parametrize("value", ["abc", -1, 0, 2.5, 2.0, True, None, [3]])
def test_no_whole_number(value):
    with pytest.raises(ConfigError) as caught:
        whole({"sample": value}, "sample", 16, least=1)
    assert str(caught.value) == (
        f"apply: option sample: expected a whole number >= 1, received {value!r}"
    )


def test_too_large_a_number():
    with pytest.raises(ConfigError, match=r"option sample: .* <= 1,000, received 1,001"):
        whole({"sample": 1001}, "sample", 16, most=1000)
    with pytest.raises(ConfigError, match="option seed"):
        whole({"seed": 2**63}, "seed", 0)


@pytest.mark.parametrize("value", [1, 1.5, -0.1, "half", True, float("nan")])
def test_no_share(value):
    with pytest.raises(ConfigError, match="option complete: expected a share"):
        share({"complete": value}, "complete")


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_no_flag(value):
    with pytest.raises(ConfigError, match="option features: expected true or false"):
        flag({"features": value}, "features")


def test_options_are_those_that_are_declared():
    declared = {"top_k": "so many (all)", "seed": "a number (0)"}
    known({"top_k": 3}, declared)
    assert listed(declared) == ["--top-k  so many (all)", "--seed   a number (0)"]
    with pytest.raises(ConfigError, match=r"--topk: .*did you mean 'top_k'"):
        known({"topk": 3}, declared)
    with pytest.raises(ConfigError, match="none is expected here"):
        known({"x": 1}, {})
