"""What a backtest counts, on forecasts that are known."""

import pytest

from famulus.diagnosis.foresight import backtest as module
from famulus.diagnosis.foresight.backtest import Curve, backtest
from famulus.diagnosis.foresight.forecast import Forecast, Refusal


def test_errors_and_widths_are_medians_and_coverage_is_a_share(monkeypatch):
    """Five cut-offs of a curve that ends at 1; its last value before each is 2, 3, 4, 5 and 60."""
    forecasts = iter([
        Forecast(1.1, 0.9, 1.8),  # .1 off, 2 wide
        Forecast(0.7, 0.5, 2.0),  # .3 off, 4 wide
        Refusal("12 % of it"),
        Forecast(1.2, 1.1, 3.3),  # .2 off, 3 wide, beside the end
        Forecast(50.0, 0.1, 90.0),  # 49 off, 900 wide
        Forecast(1.4, 0.2, 20.0),  # .4 off, 100 wide
        Refusal("3 % of it"),
    ])  # fmt: skip
    monkeypatch.setattr(module, "forecast", lambda *_, **__: next(forecasts))
    val = [(1, 2.0), (2, 3.0), (3, 99.0), (4, 4.0), (5, 5.0), (6, 60.0), (7, 9.0), (100, 1.0)]
    shares = [n / 100 for n in (1, 2, 3, 4, 5, 6, 7)]
    result = backtest([Curve(val, lambda n: 1.0, 100.0)], [0.001, *shares])  # none before the first
    assert result.cutoffs == 7
    assert result.error == pytest.approx(0.3)
    assert result.error_last == pytest.approx(3.0)
    assert result.width == pytest.approx(4.0)
    assert result.coverage == pytest.approx(4 / 5)
    assert list(result.refused.values()) == [2]
    assert result.refusals == pytest.approx(2 / 7)
