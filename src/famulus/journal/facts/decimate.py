"""Fewer points that look the same.

Source: largest triangle, three buckets (LTTB): Steinarsson 2013, MSc thesis, University of Iceland.
"""

from itertools import pairwise

import numpy as np


def min_max(y: np.ndarray, n: int) -> np.ndarray:
    """Indices of at most `n` points: first, last, and each bucket's lowest and highest.

    Keeps every spike visible; for noisy traces.
    """
    if len(y) <= n:
        return np.arange(len(y))
    # two a bucket, and the two ends
    edges = np.linspace(1, len(y) - 1, max(1, (n - 2) // 2) + 1).astype(int)
    # a set: a bucket's lowest and highest may be one point
    kept = {0, len(y) - 1}
    for a, b in pairwise(edges):
        if b > a:
            kept |= {a + int(np.argmin(y[a:b])), a + int(np.argmax(y[a:b]))}
    return np.array(sorted(kept))


def lttb(x: np.ndarray, y: np.ndarray, n: int) -> np.ndarray:
    """Indices of `n` points (all if there are no more), for smooth traces.

    Of each bucket the point that spans the largest triangle with the last one kept and the mean of
    the next bucket.
    """
    if len(y) <= n or n < 3:
        return np.arange(len(y))
    edges = np.linspace(1, len(y) - 1, n - 1).astype(int)
    kept, last = [0], 0
    for k in range(n - 2):
        a, b = edges[k], edges[k + 1]
        # the last bucket is followed by the last point alone
        c = edges[k + 2] if k + 2 < len(edges) else len(y)
        mean_x, mean_y = x[b:c].mean() if c > b else x[-1], y[b:c].mean() if c > b else y[-1]
        area = np.abs(
            (x[last] - mean_x) * (y[a:b] - y[last]) - (x[last] - x[a:b]) * (mean_y - y[last])
        )
        last = a + int(np.argmax(area))
        kept.append(last)
    return np.array([*kept, len(y) - 1])
