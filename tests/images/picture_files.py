"""Small picture files for tests of folders, zips and tables."""

import io
import zipfile

import numpy as np
from PIL import Image


def raw(seed, form="PNG", shape=(8, 8, 3)):
    """Bytes of a small random picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def write(top, names):
    """Files below `top`: a list of names of PNGs, or a dict with the bytes of each."""
    files = names if isinstance(names, dict) else {n: raw(i) for i, n in enumerate(names)}
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return str(top)


def pack(path, names):
    """A zip with the same."""
    files = names if isinstance(names, dict) else {n: raw(i) for i, n in enumerate(names)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def several(folder, count, first=0):
    """`folder/0.png`, `folder/1.png`, ..."""
    return [f"{folder}/{i}.png" for i in range(first, first + count)]
