"""Whether a mask lies where there is signal: an inverted one gives a map of the air.

Shapes: Z Y X voxels. Units: phase in rad; magnitude in any.
"""

import numpy as np
from scipy.ndimage import uniform_filter

from famulus.config.errors import DataError

EMPTY = 0.01  # of a volume: as many zeros are a background that somebody cut away
LEVELS = 256  # of a histogram
NOISE, SMOOTH = 0.4, 0.7  # length of the mean of 27 unit phases: .17 in air, near 1 in tissue


def must_hold_signal(
    inside: np.ndarray,
    magnitude_ZYX: np.ndarray | None,
    stored_ZYX: np.ndarray,
    phase_ZYX_rad: np.ndarray | None,
    where: str,
) -> None:
    """Raises DataError for a mask that lies mostly where there is no signal, as an inverted one.

    Signal is where the magnitude is above half of what separates it from air (Otsu 1979,
    doi:10.1109/TSMC.1979.4310076), where a phase is stored at all, and, without a magnitude, where
    it goes on smoothly: in air it is noise from -pi to pi.
    """
    if inside.all():
        return
    signals = []
    if magnitude_ZYX is not None:
        signals.append((magnitude_ZYX > 0.5 * otsu(magnitude_ZYX), "the magnitude has signal"))
    if (stored_ZYX == 0).mean() > EMPTY:
        signals.append((stored_ZYX != 0, "the phase is not 0"))
    if phase_ZYX_rad is not None and magnitude_ZYX is None:
        parts = (uniform_filter(part(phase_ZYX_rad), 3) for part in (np.cos, np.sin))
        smooth = np.hypot(*parts)
        if np.median(smooth[inside]) < NOISE and np.median(smooth[~inside]) > SMOOTH:
            signals.append((smooth > SMOOTH, "the phase is more than noise"))
    for signal, of in signals:
        share = float(signal[inside].mean())
        if share < 0.5:
            raise DataError(
                f"{where}: only {100 * share:.0f} % of it lies where {of}, and "
                f"{100 * signal[~inside].mean():.0f} % of what it leaves out does: is it inverted?"
            )


def otsu(values: np.ndarray) -> float:
    """The threshold that separates two classes best: most variance between them."""
    if values.min() == values.max():
        return float(values.min())
    count, edges = np.histogram(values, LEVELS)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(count)
    above = below[-1] - below
    total = np.cumsum(count * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(middle[np.nanargmax(between[:-1])])
