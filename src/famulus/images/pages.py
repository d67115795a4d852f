"""Files of several pages: which of them are samples."""

from dataclasses import replace

import numpy as np

from famulus.images.files import FilePart
from famulus.images.parts import Part

PAGES = ("first", "middle", "all")


def with_pages(part: Part, pages: str) -> Part:
    """`part` with that choice; under `all` each page of a file is a sample, as `a.tif#3`.

    Pages lie on the side of their file, with its label. Arrays have none, and are as they were.
    """
    if not isinstance(part, FilePart) or pages == "first":
        return part
    if pages == "middle":
        return replace(part, pages=pages)
    names, of = [], []
    for index, name in enumerate(part.names):
        header = part.head(name)
        count = 1 if isinstance(header, str) else header.pages
        names += [name] if count == 1 else [f"{name}#{page + 1}" for page in range(count)]
        of += [index] * count
    labels = None if part.labels is None else part.labels[np.array(of, np.int64)]
    return replace(part, names=names, labels=labels, pages=pages)
