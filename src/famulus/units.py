"""Units of the lab, as suffixes of names, and the conversions between them.

Units: `_ppm` parts per million, `_hz` hertz, `_rad` radian, `_mm` millimetre, `_ms` millisecond,
`_t` tesla. Numbers, arrays and tensors are all welcome as fields and phases.
Source: CODATA 2018, proton gyromagnetic ratio over 2 pi = 42.577 478 518 MHz/T.
"""

import math

GAMMA_HZ_PER_T = 42.577478518e6  # bare proton; in water 26 ppm less, below any use here


def hz_from_ppm(field_ppm: float, b0_t: float) -> float:
    """Larmor frequency shift: ppm * 1e-6 * gamma/2pi * B0."""
    return field_ppm * 1e-6 * GAMMA_HZ_PER_T * b0_t


def ppm_from_hz(field_hz: float, b0_t: float) -> float:
    """Inverse of `hz_from_ppm`. Raises ValueError if B0 is not positive."""
    if b0_t <= 0:
        raise ValueError(f"expected b0_t > 0, received {b0_t}")
    return field_hz / (1e-6 * GAMMA_HZ_PER_T * b0_t)


def rad_from_hz(field_hz: float, te_ms: float) -> float:
    """Phase gathered until the echo: 2 pi f TE, not wrapped."""
    return 2 * math.pi * field_hz * te_ms * 1e-3


def rad_from_ppm(field_ppm: float, b0_t: float, te_ms: float) -> float:
    """Phase of a field in ppm at an echo time: 2 pi gamma/2pi B0 TE ppm."""
    return rad_from_hz(hz_from_ppm(field_ppm, b0_t), te_ms)
