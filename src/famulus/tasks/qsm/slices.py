"""Pictures of volumes and of curves as uint8 arrays, for `Picture` rows.

Shapes: Z Y X voxels; pictures (H, W, 3).
"""

from collections.abc import Mapping, Sequence

import numpy as np


def three_slices(volume_ZYX: np.ndarray, low: float, high: float) -> np.ndarray:
    """Axial, coronal and sagittal middle slices side by side, up is +Z or +Y; fixed window.

    What is outside of low..high is cut off; nothing is stretched to a picture's own range.
    """
    z, y, x = (n // 2 for n in volume_ZYX.shape)
    slices = [volume_ZYX[z], volume_ZYX[:, y], volume_ZYX[:, :, x]]
    side = max(max(s.shape) for s in slices)
    tiles = []
    for s in slices:
        tile = np.zeros((side, side))
        top, left = (side - s.shape[0]) // 2, (side - s.shape[1]) // 2
        shown = np.clip((s[::-1] - low) / (high - low), 0, 1)
        tile[top : top + s.shape[0], left : left + s.shape[1]] = shown
        tiles.append(tile)
    grey = (np.concatenate(tiles, 1) * 255).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, 2)


def kernel_slices(kernel_ZYX: np.ndarray, b0_zyx: Sequence[float]) -> np.ndarray:
    """Middle planes of a centred kernel in -2/3..1/3, with B0's part in each plane as a line."""
    centred = np.fft.fftshift(kernel_ZYX)
    picture = three_slices(centred, -2 / 3, 1 / 3)
    side = picture.shape[0]
    planes = ((1, 2), (0, 2), (0, 1))  # rows and columns of the slices, as tensor axes
    for tile, (row, column) in enumerate(planes):
        way = np.array([-b0_zyx[row], b0_zyx[column]])
        for t in np.linspace(-0.45, 0.45, 4 * side):
            r, c = np.round(side / 2 + t * side * way).astype(int)
            if 0 <= r < side and 0 <= c < side:
                picture[r, tile * side + c] = (220, 60, 40)
    return picture


def curves(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    x_label: str,
    y_label: str,
    bars: bool = False,
    size: tuple[float, float] = (6.4, 3.2),
) -> np.ndarray:
    """Lines (or bars of the first, points of the others) by name, drawn by matplotlib."""
    # Not pyplot: it keeps every figure, and may ask for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for i, (name, (x, y)) in enumerate(lines.items()):
        if bars and i == 0:  # many bars without gaps, which would shimmer
            axes.bar(x, y, width=0.8 if len(x) < 50 else 1.0, label=name, color="#4c6a92")
        else:
            wide = 3.5 if i == 0 else 1.3  # the first shows behind others that cover it
            axes.plot(x, y, label=name, linewidth=wide, marker="." if bars else None)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # a copy: the canvas takes its buffer back
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
