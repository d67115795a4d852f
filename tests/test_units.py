"""Against figures worked out by hand."""

import math

import pytest

from famulus import units


def test_phase_of_one_ppm_at_3_t_and_25_ms():
    # 42.577 MHz/T * 3 T = 127.73 MHz: 1 ppm is 127.73 Hz, 3.1933 turns in 25 ms
    assert units.hz_from_ppm(1, 3.0) == pytest.approx(127.73, rel=1e-4)
    assert units.rad_from_ppm(1, 3.0, 25) == pytest.approx(20.06, abs=0.01)


def test_conversions_invert_each_other():
    assert units.ppm_from_hz(units.hz_from_ppm(0.37, 7.0), 7.0) == pytest.approx(0.37)


def test_a_turn_is_a_hertz_for_a_second():
    assert units.rad_from_hz(11.0, 1000) == pytest.approx(22 * math.pi)
    assert units.rad_from_hz(-40.0, 25) == pytest.approx(-2 * math.pi)


def test_refused():
    with pytest.raises(ValueError, match="received 0"):
        units.ppm_from_hz(1, 0)
