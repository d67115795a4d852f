"""`famulus data fetch`: a set's files from a folder or URL into the data folder, then read once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec

from famulus.config.errors import DataError
from famulus.images.catalog import info
from famulus.images.datasets import ENDS, EXPECTED
from famulus.images.listing import suffix

LARGEST = 64 << 30  # bytes of one file


def fetch(name: str, source: str) -> Iterator[str]:
    """Copies every file below `source` to $FAMULUS_DATA/NAME, a line each; one file becomes NAME
    with the file's suffix.

    A copy is complete or absent. Raises DataError if the source or the set can't be read.
    """
    folder = os.environ.get("FAMULUS_DATA")
    if not folder:
        raise DataError("FAMULUS_DATA: expected the data folder, received nothing; set it first")
    # Names come from outside: none may lead out of the data folder.
    if not _inside(name):
        raise DataError(f"NAME: expected the name of a set, received {name!r}")
    try:
        files, path = fsspec.url_to_fs(source)
        sources = files.find(path)
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{source}: {error}") from error
    if not sources:
        raise DataError(f"{source}: expected a file or a folder with files, found nothing")
    single = sources == [path] or sources == [path.rstrip("/")]
    if single and suffix(path) not in ENDS:
        raise DataError(f"{source}: expected {EXPECTED}, received {suffix(path) or 'no suffix'}")
    for file in sources:
        relative = os.path.relpath(file, path)
        if not _inside(relative):
            raise DataError(f"{source}: {file} would land outside the data folder; refused")
        target = Path(folder) / name / relative
        if single:  # not inside a folder: found by the set's name and this suffix
            target = Path(folder) / f"{name.removesuffix(suffix(path))}{suffix(path)}"
        # Aside first: a copy that breaks off must not look like the file.
        partial = target.with_name(f".{target.name}.partial")
        try:
            if files.info(file)["type"] != "file":
                yield f"left out {file}: not a regular file"
                continue
            if files.size(file) > LARGEST:
                raise DataError(f"{file}: larger than {LARGEST >> 30} GiB")
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.open(file, "rb") as incoming, open(partial, "wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
            os.replace(partial, target)
        except OSError as error:
            raise DataError(f"{file}: can't be copied ({error})") from error
        finally:
            partial.unlink(missing_ok=True)
        yield f"{target}"
    row = info(name)
    yield f"{name}: {row.get('train', 0)} training, {row.get('validation', 0)} validation samples"


def _inside(relative: str) -> bool:
    return ".." not in Path(relative).parts and not Path(relative).is_absolute()
