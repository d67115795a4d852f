"""Small JSON records and times, as the store writes them."""

import json
from datetime import UTC, datetime
from typing import Any

from famulus.store.files import Files


def encode(data: Any) -> bytes:
    return (json.dumps(data, indent=1, default=plain) + "\n").encode()


def read(files: Files, path: str) -> dict[str, Any] | None:
    """None if the file is missing; {} if it is torn or no record."""
    try:
        data = json.loads(files.read(path))
    except FileNotFoundError:
        return None
    except ValueError:  # UnicodeDecodeError is one
        return {}
    return data if isinstance(data, dict) else {}


def plain(value: Any) -> Any:
    """A NumPy or torch scalar as a number, a path as text."""
    if hasattr(value, "item"):
        return value.item()
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(f"expected numbers, text, lists and dicts, received {type(value).__name__}")


def now() -> str:
    """ISO 8601 in UTC, milliseconds."""
    # UTC: runs of two machines stand in one table
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds(iso: Any) -> float:
    """Seconds since 1970 of what `now` wrote; 0 if it is no time."""
    try:
        return datetime.fromisoformat(iso).timestamp()
    except (TypeError, ValueError):
        return 0.0
