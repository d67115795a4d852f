"""`famulus data fetch`: a set's files from a folder or URL into the data folder, then read once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec

from famulus.config.errors import DataError
from famulus.images.catalog import info

LARGEST = 64 << 30  # bytes of one file


def fetch(name: str, source: str) -> Iterator[str]:
    """Copies every file below `source` to $FAMULUS_DATA/NAME (one file: beside it), a line each.

    A copy is complete or absent. Raises DataError if the source or the set can't be read.
    """
    folder = os.environ.get("FAMULUS_DATA")
    if not folder:
        raise DataError("FAMULUS_DATA: expected the data folder, received nothing; set it first")
    try:
        files, path = fsspec.url_to_fs(source)
        found = files.find(path)
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{source}: {error}") from error
    if not found:
        raise DataError(f"{source}: expected a file or a folder with files, found nothing")
    single = found == [path] or found == [path.rstrip("/")]
    for file in found:
        relative = Path(file).name if single else os.path.relpath(file, path)
        # Names come from outside: none may lead out of the data folder.
        if ".." in Path(relative).parts or Path(relative).is_absolute():
            raise DataError(f"{source}: {file} would land outside the data folder; refused")
        target = Path(folder) / (relative if single else Path(name) / relative)
        if files.size(file) > LARGEST:
            raise DataError(f"{file}: larger than {LARGEST >> 30} GiB")
        target.parent.mkdir(parents=True, exist_ok=True)
        # Aside first: a copy that breaks off must not look like the file.
        partial = target.with_name(f".{target.name}.partial")
        with files.open(file, "rb") as incoming, open(partial, "wb") as outgoing:
            shutil.copyfileobj(incoming, outgoing, 1 << 20)
        os.replace(partial, target)
        yield f"{target}"
    row = info(name)
    yield f"{name}: {row.get('train', 0)} training, {row.get('validation', 0)} validation samples"
