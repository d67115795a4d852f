"""All that the store writes as text: records, settings, files as written. None with a secret.

A store is shown to others, so every text passes through here before it is written. Tensors and
pictures do not, nor does the state of a checkpoint, which must come back as it was.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from famulus.config import yaml
from famulus.config.errors import ConfigError
from famulus.store.files import Files
from famulus.store.secrets import HIDDEN, hidden_values, masked, names_a_secret, scrubbed

SHORTEST = 4  # characters of a hidden value that is looked for elsewhere in a text


def encode(data: Any) -> bytes:
    """A record as JSON."""
    return state(masked(data))


def state(data: Any) -> bytes:
    """Numbers of a checkpoint as JSON, exactly as they are."""
    return (json.dumps(data, indent=1, default=plain) + "\n").encode()


def settings(config: Mapping[str, Any]) -> bytes:
    """A filled config as YAML."""
    return yaml.dump(masked(dict(config))).encode()


def text(written: str, secrets: Iterable[str] = ()) -> bytes:
    """A text as a person wrote it; `secrets` are hidden wherever they stand."""
    # the longest first: one may be a part of another
    for secret in sorted(secrets, key=len, reverse=True):
        written = written.replace(secret, HIDDEN) if len(secret) >= SHORTEST else written
    return scrubbed(written).encode()


def experiment(written: str, secrets: Iterable[str] = ()) -> bytes:
    """An experiment file as a person wrote it, still YAML; `secrets`: as of `text`."""
    try:
        document = yaml.load(written)
    except ConfigError:  # of no file that was read
        return text(written, secrets)
    own = hidden_values(document.value)
    start = len(written) - len(written.removeprefix("\ufeff"))  # of the text that spans count in
    # by their place: a value in several lines or with escapes is nowhere in the text as it is
    for first, end in sorted(_secret_spans(document.root), reverse=True):
        value = written[start + first : start + end]
        rest = value[len(value.rstrip()) :]  # a block ends with its last line
        written = f'{written[: start + first]}"{HIDDEN}"{rest}{written[start + end :]}'
    return text(written, own | set(secrets))


def _secret_spans(node: yaml.Node, kind: str = "") -> Iterator[tuple[int, int]]:
    for key, child in node.children.items():
        own = (names_a_secret(key) if isinstance(key, str) else "") or kind
        if child.children:
            yield from _secret_spans(child, own)
        elif masked(child.value, own) == HIDDEN:
            yield child.span


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
