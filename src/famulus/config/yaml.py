"""YAML 1.2, strictly: every value knows its line, and what could be misread is refused.

Built on the parser's events, so that nothing is constructed but null, booleans, numbers, text,
lists and mappings with text keys. Refused: duplicate keys, tags, merge keys, a second document,
and files beyond the limits below. Anchors and aliases are plain repetition.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from famulus.config.errors import ConfigError
from famulus.config.scalars import resolve

MAX_BYTES = 1_000_000
# reading is recursive: a deeper file would end in Python's own limit
MAX_DEPTH = 40  # nested sections
# a few lines of aliases can stand for billions of values
MAX_VALUES = 100_000  # with every alias counted as often as it is used
MAX_KEY = 1_000  # characters

Path = tuple[str | int, ...]


@dataclass
class Node:
    """A value, where it stands (from 1), and how many values it holds, aliases spelt out.

    span: of a scalar or an alias, its first character in the text and the one behind its last.
    """

    value: Any
    line: int
    column: int
    size: int = 1
    span: tuple[int, int] = (0, 0)
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A file's plain value, and where each part of it stands."""

    value: Any
    name: str
    root: Node

    def where(self, path: Path, key: bool = False) -> str:
        """`file.yaml:12:5` of the value at `path` (or of its key), or of what comes nearest."""
        node, line, column = self.root, self.root.line, self.root.column
        for part in path:
            if part not in node.children:
                break
            if key and part in node.keys:
                line, column = node.keys[part]
            else:
                line, column = node.children[part].line, node.children[part].column
            node = node.children[part]
        return f"{self.name}:{line}:{column}"


def load(text: str, name: str = "text") -> Document:
    """The one document in `text`.

    Raises ConfigError `name:line:column: reason`.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ConfigError(f"{name}: expected at most {MAX_BYTES:,} bytes, received {len(text):,}")
    # Some editors put a byte order mark first.
    reader = _Reader(text.removeprefix("\ufeff"), name)
    try:
        root = reader.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        if mark and "\t" in _line(text, mark.line):
            reason = f"{reason}; a tab stands in this line: YAML is indented by spaces"
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{name}{at}: {' '.join(reason.split())}") from None
    except YAMLError as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from None
    return Document(root.value, name, root)


def parse_value(text: str) -> Any:
    """The value of `text` by the same rules as in a file: for `--set key=value`."""
    if not text.strip():
        raise ConfigError('expected a value, received nothing (null for none, "" for no text)')
    return load(text, "--set").value


class _Reader:
    """Events into nodes. One use."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        # Events alone: nothing is constructed. Pure: the C parser knows YAML 1.1 only.
        self.events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
        self.anchors: dict[str, Node] = {}
        self.expanded = 0  # values that aliases repeat

    def fail(self, event: Any, reason: str) -> ConfigError:
        mark = event.start_mark
        return ConfigError(f"{self.name}:{mark.line + 1}:{mark.column + 1}: {reason}")

    def document(self) -> Node:
        next(self.events)  # stream start
        start = next(self.events)
        if isinstance(start, StreamEndEvent):
            raise ConfigError(f"{self.name}: the file is empty")
        self.directives(start)
        first = next(self.events)
        root = self.node(first, 0)
        if isinstance(first, ScalarEvent) and root.value is None and not first.value:
            raise ConfigError(f"{self.name}: the file is empty")
        next(self.events)  # document end
        after = next(self.events)
        if not isinstance(after, StreamEndEvent):
            raise self.fail(after, "expected one document, received a second one (after ---)")
        return root

    def directives(self, start: DocumentStartEvent) -> None:
        version = tuple(start.version) if start.version else (1, 2)
        if version != (1, 2):
            raise self.fail(start, f"expected YAML 1.2, received %YAML {version[0]}.{version[1]}")
        if start.tags:
            raise self.fail(start, "%TAG is not supported: nothing in a file is constructed")

    def node(self, event: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.fail(event, f"expected at most {MAX_DEPTH} nested sections")
        # shared, not copied: values are never changed in place
        if isinstance(event, AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            raise self.fail(event, f"tag {event.tag} is not supported: write the value without it")
        node = Node(None, event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, ScalarEvent):
            node.value = self.scalar(event)
            node.span = event.start_mark.index, event.end_mark.index
        elif isinstance(event, SequenceStartEvent):
            self.sequence(node, depth)
        elif isinstance(event, MappingStartEvent):
            self.mapping(node, depth)
        # Only now: an alias inside of its own anchor would never end.
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: AliasEvent) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            raise self.fail(event, f"*{event.anchor} is not defined above, or contains itself")
        self.expanded += target.size
        if self.expanded > MAX_VALUES:
            raise self.fail(event, f"expected at most {MAX_VALUES:,} values, aliases spelt out")
        # Where it is used, not where it is defined: that is the place to change.
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        span = event.start_mark.index, event.end_mark.index
        return Node(target.value, line, column, target.size, span, target.children, target.keys)

    def scalar(self, event: ScalarEvent) -> Any:
        # quoted text is text, whatever it looks like
        if event.style is not None and event.style in "'\"|>":
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            raise self.fail(event, str(error)) from None

    def sequence(self, made: Node, depth: int) -> None:
        made.value = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            child = self.node(event, depth + 1)
            made.children[len(made.value)] = child
            made.value.append(child.value)
            made.size += child.size

    def mapping(self, made: Node, depth: int) -> None:
        made.value = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self.key(event, depth)
            if key in made.value:
                line, column = made.keys[key]
                raise self.fail(event, f"duplicate key '{key}', first at line {line}:{column}")
            child = self.node(next(self.events), depth + 1)
            made.keys[key] = (event.start_mark.line + 1, event.start_mark.column + 1)
            made.children[key] = child
            made.value[key] = child.value
            made.size += child.size

    def key(self, event: Any, depth: int) -> str:
        if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
            raise self.fail(event, "merge key << is not YAML 1.2: repeat the values you need")
        key = self.node(event, depth + 1).value
        if not isinstance(key, str):
            raise self.fail(event, f"expected text as a key, received {json.dumps(key)}: quote it")
        return key


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number] if number < len(lines) else ""


PLAIN = re.compile(r"[^\W\d_](?:[\w ./@%+=<>()~^-]*[\w/@%+=<>()~^.-])?|\d[\w.+%-]*")
MISREAD = {"y", "n", "yes", "no", "on", "off"}  # true or false to a reader of YAML 1.1
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
WIDTH = 88  # of a list or a section on one line


def dump(value: Any) -> str:
    """Readable YAML 1.2 that `load` reads back equal, with the same types.

    Raises TypeError for what is no plain value.
    """
    return "\n".join(_block(value, 0)) + "\n"


def short(number: float) -> int | float:
    """As a person writes it: whole without a point, at most 7 digits behind one."""
    return int(number) if float(number).is_integer() else float(f"{number:.7g}")


def inline(value: Any) -> str:
    """`value` on one line, as in `{epochs: 1}`."""
    if isinstance(value, dict):
        pairs = (f"{_key(k)}: {inline(v)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, float):
        return (
            repr(value)
            if math.isfinite(value)
            else f"{value:.0f}".replace("inf", ".inf").replace("nan", ".nan")
        )
    if isinstance(value, str):
        return _text(value)
    raise TypeError(f"expected a plain value, received {type(value).__name__}")


def _block(value: Any, indent: int) -> Iterator[str]:
    space = " " * indent
    if not isinstance(value, dict | list | tuple) or not value:
        yield space + inline(value)
        return
    if isinstance(value, dict):
        items = [(f"{_key(key)}:", item) for key, item in value.items()]
    else:
        items = [("-", item) for item in value]
    for head, item in items:
        line = f"{space}{head} {inline(item)}"
        if _fits(item, line, indent):
            yield line
        else:
            yield space + head
            yield from _block(item, indent + 2)


def _fits(item: Any, line: str, indent: int) -> bool:
    """Whether it reads best on one line: small leaves do, top-level sections do not."""
    if not isinstance(item, dict | list | tuple) or not item:
        return True
    parts = item.values() if isinstance(item, dict) else item
    flat = not any(isinstance(part, dict | list | tuple) and part for part in parts)
    if isinstance(item, dict) and indent == 0 and len(item) > 4:
        return False
    return len(line) <= WIDTH and (flat or not isinstance(item, dict))


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"expected text as a key, received {key!r}")
    if len(key) > MAX_KEY:
        raise TypeError(f"expected a key of at most {MAX_KEY} characters, received {len(key)}")
    return _text(key) if key != "<<" else '"<<"'


def _text(text: str) -> str:
    if PLAIN.fullmatch(text) and text.lower() not in MISREAD:
        try:
            if resolve(text) == text:
                return text
        except ValueError:
            pass
    quoted = json.dumps(text, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", quoted)
