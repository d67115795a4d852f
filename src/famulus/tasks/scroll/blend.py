"""Whole maps from overlapping windows, with weights that sum to one everywhere.

Along each axis the windows are placed flush with both ends, and each window's weight is divided by
the sum of all weights at that place, in float64: `partition`. The product over axes then sums to
one as well, at faces, edges and corners too: a constant goes through unchanged.
Also: how visible the borders of windows are (`seam_ratio`).

Shapes: N windows, P window size, L length of an axis, Y X a map.
Source: seam ratio and phase score are this project's; Hann as in Pielawski & Wahlby 2020,
doi:10.1371/journal.pone.0229839.
"""

from collections.abc import Callable

import numpy as np

FLOOR = 1e-3  # on the window, never on the sum: what only one window sees keeps its value


def _hann(t: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * t) ** 2


def _gaussian(t: np.ndarray) -> np.ndarray:
    # sd of an eighth of the window, as the usual implementations
    return np.exp(-0.5 * ((t - 0.5) / 0.125) ** 2)


def _linear(t: np.ndarray) -> np.ndarray:
    return 1 - np.abs(2 * t - 1)


WINDOWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hann": _hann,
    "gaussian": _gaussian,
    "linear": _linear,
    "constant": np.ones_like,
}


def window(name: str, size: int, margin: int = 0) -> np.ndarray:
    """Weights P of one window, float64, > 0. Only `FLOOR` remains within `margin` of its border.

    Raises ValueError for an unknown name or a margin that leaves nothing.
    """
    if name not in WINDOWS:
        raise ValueError(f"window: expected one of {', '.join(WINDOWS)}, received {name!r}")
    if not 0 <= 2 * margin < size:
        raise ValueError(f"margin: expected 0 to {(size - 1) // 2} of {size}, received {margin}")
    # a Hann window is 0 at its ends: a place that only one window covers would be 0 / 0
    weights = np.full(size, FLOOR)
    # midpoints of pixels: symmetric, and no weight lands on the zero at the window's end
    t = (np.arange(size - 2 * margin) + 0.5) / (size - 2 * margin)
    weights[margin : size - margin] = np.maximum(WINDOWS[name](t), FLOOR)
    return weights


def starts(length: int, size: int, stride: int) -> np.ndarray:
    """Where windows begin: every `stride`, and the last flush with the end. int64 N.

    Raises ValueError if a window is longer than the axis, or the stride would leave gaps.
    """
    if not 0 < size <= length:
        raise ValueError(f"expected a window of 1 to {length}, received {size}")
    if not 0 < stride <= size:
        raise ValueError(f"expected a stride of 1 to {size}, received {stride}")
    regular = np.arange(0, length - size + 1, stride)
    last = length - size
    # flush with the end: a map's last rows would have no window else
    return regular if regular[-1] == last else np.append(regular, last)


def partition(length: int, starts_N: np.ndarray, window_P: np.ndarray) -> np.ndarray:
    """Weights NP of each window; those that meet at a place sum to 1."""
    size, total = len(window_P), np.zeros(length)
    for start in starts_N:
        total[start : start + size] += window_P
    if not (total > 0).all():
        raise ValueError("expected windows that cover the axis with weights > 0")
    # divided at every place by what is really there: 1 only in the interior is a usual fault
    return np.stack([window_P / total[s : s + size] for s in starts_N])


class Canvas:
    """A map YX that fills up window by window, row of windows by row; finished rows are handed on.

    Memory: one row of windows, whatever the height. Predictions of a row come in any order.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        size: int,
        stride: int,
        kind: str = "hann",
        margin: int = 0,
        channels: int = 1,
    ) -> None:
        self.shape, self.size = shape, size
        shaped = window(kind, size, margin)
        self.rows, self.columns = starts(shape[0], size, stride), starts(shape[1], size, stride)
        self.weights_y = partition(shape[0], self.rows, shaped)
        self.weights_x = partition(shape[1], self.columns, shaped)
        self.band = np.zeros((channels, size, shape[1]))  # float64 rows that are not yet finished
        self.top = 0  # of the band, in rows of the map

    def add(self, row: int, column: int, prediction_CYX: np.ndarray, first: int = 0) -> None:
        """Adds the window at (`row`, `column`) of the grid to the channels from `first` on; rows
        in ascending order."""
        if self.rows[row] != self.top:
            raise ValueError(f"expected windows of the row at {self.top}, received row {row}")
        weight = self.weights_y[row][:, None] * self.weights_x[column]
        x = self.columns[column]
        channels = slice(first, first + len(prediction_CYX))
        self.band[channels, :, x : x + self.size] += weight * prediction_CYX

    def finish(self, row: int) -> tuple[int, np.ndarray]:
        """(first row, CYX) of what no later row of windows touches; the band moves on."""
        last = row == len(self.rows) - 1
        until = self.shape[0] if last else int(self.rows[row + 1])
        count = until - self.top
        # a copy: the band is moved below, and a view would move with it
        done, first = self.band[:, :count].copy(), self.top
        self.band = np.roll(self.band, -count, axis=1)
        self.band[:, self.size - count :] = 0
        self.top = until
        return first, done


def blend(tiles: Callable[[int, int], np.ndarray], canvas: Canvas) -> np.ndarray:
    """The whole map CYX of `tiles(y, x)`, each CPP: for maps that fit into memory."""
    out = np.empty((len(canvas.band), *canvas.shape))
    for i, y in enumerate(canvas.rows):
        for j, x in enumerate(canvas.columns):
            canvas.add(i, j, tiles(int(y), int(x)))
        first, done = canvas.finish(i)
        out[:, first : first + done.shape[1]] = done
    return out


# -- how visible the borders are ------------------------------------------------------------------


def steps(map_YX: np.ndarray, axis: int) -> np.ndarray:
    """g(x) = mean over the other axis of |o(x+1) - o(x)|: length L - 1."""
    return np.abs(np.diff(map_YX.astype(np.float64), axis=axis)).mean(1 - axis)


def seam_ratio(
    map_YX: np.ndarray, stride: int, axis: int, offset: int = 0, period: int = 1
) -> float:
    """S = mean g(at borders) / mean g(elsewhere); 1 without seams. Borders at offset + k stride.

    `period`: a map that was enlarged from a grid of so many pixels is steeper at some phases of
    that grid than at others; borders are then compared with places of their own phase only.
    Raises ValueError if the map has no border inside, or no such places (see `comparable`).
    """
    return ratio_of(steps(map_YX, axis), stride, offset, period)


def comparable(stride: int, period: int) -> bool:
    """Are there places between borders that lie in the net's grid as borders do? If not, borders
    and grid can't be told apart."""
    return stride % period == 0 and stride >= 2 * period


def ratio_of(g: np.ndarray, stride: int, offset: int = 0, period: int = 1) -> float:
    """`seam_ratio` from the profile `steps`."""
    borders, alike = _compared(g, stride, offset, period)
    return float(borders.mean() / max(alike.mean(), 1e-300))


def phase_score(
    map_YX: np.ndarray, stride: int, axis: int, offset: int = 0, period: int = 1
) -> float:
    """z = (g_0 - median g_t) / (1.4826 MAD) over the `stride` phases t that are multiples of
    `period` (as in `seam_ratio`). Alarm above 4.

    With fewer than 8 such phases g_t are single places, and their spread is divided by the root
    of the number of borders that g_0 is the mean of. Raises ValueError as `seam_ratio`.
    """
    return score_of(steps(map_YX, axis), stride, offset, period)


def score_of(g: np.ndarray, stride: int, offset: int = 0, period: int = 1) -> float:
    """`phase_score` from the profile `steps`."""
    borders, alike = _compared(g, stride, offset, period)
    seen, root = alike, np.sqrt(len(borders))
    if period == 1 or stride // period >= 8:
        phase = (np.arange(len(g)) + 1 - offset) % stride
        of = [g[phase == t] for t in range(0, stride, period)]
        seen, root = np.array([part.mean() for part in of if len(part)]), 1.0
    spread = 1.4826 * np.median(np.abs(seen - np.median(seen)))
    return float((borders.mean() - np.median(seen)) * root / max(spread, 1e-300))


def _compared(
    g: np.ndarray, stride: int, offset: int, period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Steps at borders, and at the other places of their phase in a grid of `period`."""
    if period > 1 and not comparable(stride, period):
        raise ValueError(
            f"expected a stride that is a multiple of {period}, twice it at least, received "
            f"{stride}: borders can't be told from the net's own grid"
        )
    place = np.arange(len(g)) + 1 - offset
    at = place % stride == 0
    rest = ~at & (place % period == 0)
    if not at.any() or not rest.any():
        raise ValueError(f"expected a map longer than the stride {stride}, received {len(g) + 1}")
    return g[at], g[rest]
