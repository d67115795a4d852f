"""Which columns of a table are the pictures and their labels.

Pictures are a column of bytes, or of struct<bytes, path> as Hugging Face stores them. Names of
classes stand in the schema's metadata `huggingface`, JSON `info.features.<column>.names`: a text
from outside, whose every level is checked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from famulus.config.errors import DataError
from famulus.images.labels import MAX_CLASSES

IMAGES = ("image", "images", "img", "picture", "jpg", "jpeg", "png")
LABELS = ("label", "labels", "target", "targets", "class", "category", "y", "fine_label")
NUMBERS = re.compile(r"u?int\d+|bool|halffloat|float|double")
METADATA = b"huggingface"
MAX_METADATA = 4 << 20  # the names of 22,000 classes take under 1 MB
MAX_NAME = 1000  # letters of a class's name


@dataclass(frozen=True)
class Columns:
    """`leaf`: the path of the bytes as parquet names it; `label` None where there is none, with
    `texts` whether its values are; `unused`: all other columns."""

    image: str
    leaf: str
    label: str | None
    texts: bool
    classes: tuple[str, ...] | None
    unused: tuple[str, ...]


def columns_of(schema: Any, where: str) -> Columns:
    """The columns of a `pyarrow.Schema`. Raises DataError naming those that are there."""
    kinds = {field.name: field.type for field in schema}
    leaves = {name: leaf for name, kind in kinds.items() if (leaf := _leaf(name, kind))}
    if not leaves:
        listed = ", ".join(f"{name} ({kind})"[:60] for name, kind in list(kinds.items())[:8])
        paths = " (paths alone hold no picture)" if set(kinds) & set(IMAGES) else ""
        raise DataError(
            f"{where}: expected a column of picture files, bytes or struct<bytes, path>, "
            f"received {listed or 'no columns'}{paths}"
        )
    image = _one(list(leaves), IMAGES, where, "pictures")
    assert image is not None  # there is at least one
    names = _class_names(schema.metadata or {})
    others = [name for name in kinds if name != image]
    usual = [name for name in others if name.lower() in LABELS]
    label = _one(usual or [name for name in others if name in names], LABELS, where, "labels")
    kind = str(kinds[label]) if label else ""
    texts = "string" in kind
    if label and not texts and not NUMBERS.fullmatch(kind):
        raise DataError(
            f"{where}: {label}: expected labels as integers or texts, received {kind[:80]}"
        )
    unused = tuple(name for name in others if name != label)
    return Columns(image, leaves[image], label, texts, names.get(label or ""), unused)


def _leaf(name: str, kind: Any) -> str | None:
    if _binary(kind):
        return name
    inner = [kind.field(i) for i in range(kind.num_fields)] if str(kind)[:7] == "struct<" else []
    return f"{name}.bytes" if any(f.name == "bytes" and _binary(f.type) for f in inner) else None


def _binary(kind: Any) -> bool:
    return str(kind) in ("binary", "large_binary", "binary_view")


def _one(names: Sequence[str], usual: Sequence[str], where: str, what: str) -> str | None:
    """The only one of `names`, or the only one with a usual name; None of none."""
    known = [name for name in names if name.lower() in usual]
    if len(names) > 1 and len(known) != 1:
        raise DataError(
            f"{where}: columns {' and '.join(names)}: all may be the {what}: keep one, or name it "
            f"{usual[0]}"
        )
    return next(iter(known or names), None)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Names of the classes of each column that has some; nothing of what is not as it should."""
    raw = metadata.get(METADATA, b"")
    if not 0 < len(raw) <= MAX_METADATA:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        columns = features.items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    names = {}
    for column, feature in columns:
        listed = feature.get("names") if isinstance(feature, dict) else None
        if isinstance(listed, list) and 0 < len(listed) <= MAX_CLASSES:
            texts = {text for text in listed if isinstance(text, str) and len(text) <= MAX_NAME}
            if len(texts) == len(listed):
                names[column] = tuple(listed)
    return names
