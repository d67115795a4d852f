"""Removes secrets before anything is written down: by the name of a key, and by pattern in text.

Some names leave no doubt (`password`, `api_key`). Others are everyday words here as well
(`cls_token = nn.Parameter(...)`, `low_pass: 0.5`): `token`, `auth` and `pass` count as the last
word of a name, not behind a word of images and sequences, and only with text as their value.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "***"
PLAIN = (float, bool, type(None))  # no secret is one of them
_STRONG = (
    r"passw(?:or)?d|passphrase|passcode|secret(?!ar)|credential|authorization|pwd(?![a-z])"
    r"|(?:api|access|private|account|signing|encryption)[_-]?keys?(?![a-z])"
    r"|(?:api|access|auth|bearer|refresh|session|bot|hf|hub|github|gitlab|wandb)[_-]?token(?!s)"
)
_WEAK = ("pass", "auth", "oauth", "token", "jwt")
_SURE = re.compile(_STRONG, re.I)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# what stands before `token` or `pass` in names of nets, texts and filters
_INNOCENT = re.compile(
    r"cls|class|mask(ed)?|pad(ding)?|bos|eos|sep|unk|query|ima?ge?|text|special|register|prompt"
    r"|word|patch|code|latent|memory|input|output|target|new|next|first|last|start|end|stop|blank"
    r"|low|high|band|all|forward|backward|second|third|one|two|single|multi|per|each|final|full"
    r"|train|test|eval|current|global|summary|distill(ation)?"
)
_SURE_NAME = rf"[\w.-]*(?:{_STRONG})[\w-]*"
_NAME = rf"(?:{_SURE_NAME}|[\w.-]*(?:{'|'.join(_WEAK)})(?![\w-]))"
# up to what ends a value in text, in a URL or in JSON; a bracket that closes is not part of it
_VALUE = r"[\"']?[^\s\"'&,;]+?(?=[)\]}]*(?:[\s\"'&,;]|$))"
# also with a type between: secret: str = "..."
_EQUALS = r"\s*[:=]\s*(?:[\w.\[\]| ]+?\s*=\s*)?"
_PAIR = re.compile(
    rf"(?P<key>(?<!\w)(?P<name>{_NAME})[\"']?(?P<equals>{_EQUALS})(?:(?:bearer|basic)\s+)?)"
    rf"(?P<value>\[[^\]\n]+\]|\"[^\"\n]+\"|'[^'\n]+'|{_VALUE})",
    re.I | re.M,
)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s'\"]+@")
_QUERY = re.compile(
    rf"(?P<key>[?&](?:sig|signature|key|[\w-]*token|x-amz-[\w-]+|{_SURE_NAME})=)[^&\s'\"#]+", re.I
)
_FLAG = re.compile(rf"-{{1,2}}(?:{_SURE_NAME}|[\w-]*(?:token|auth))", re.I)
_FLAG_PAIR = re.compile(r"(?P<key>^-{1,2}[\w-]*(?:token|auth)=).+", re.I)
# by their own shape, where no name beside them gives them away
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_\w{20,}\b"
    r"|\bhf_[A-Za-z0-9]{20,}\b|\bsk-[A-Za-z0-9_-]{20,}\b|\bxox[abprs]-[\w-]{10,}\b"
    r"|\bey[JK][\w-]{10,}\.[\w-]{10,}\.[\w-]+"
    # To the end if need be: a diff that was cut off may hold only the beginning of a key.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
# every pattern above needs one of these: most texts of a run (names of layers) have none
_SUSPECT = re.compile(
    r"://|[?&]|pass|pwd|secret|credential|auth|key|token|jwt|akia|asia|gh[pousr]_|github_pat"
    r"|hf_|sk-|xox|ey[jk]",
    re.I,
)
# a password of digits and letters, where the name before it proves little
_LIKELY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=~!#$%^*-]{6,}")


@lru_cache(maxsize=4096)
def names_a_secret(key: str) -> str:
    """`sure` (a password, whatever its value), `weak` (one if its value is text), or ''."""
    if "=" in key:  # a cell's name, which holds values
        return ""
    if _SURE.search(key):
        return "sure"
    words = [word.lower() for word in _WORDS.findall(key)]
    weak = bool(words) and words[-1] in _WEAK
    return "weak" if weak and not (words[1:] and _INNOCENT.fullmatch(words[-2])) else ""


def without_credentials(url: str) -> str:
    """`scheme://user:password@host` as `scheme://host`, and signed query values hidden."""
    return _QUERY.sub(rf"\g<key>{HIDDEN}", _URL.sub(r"\g<scheme>", url))


def scrubbed(text: str, *, code: bool = False) -> str:
    """`text` with URL credentials, `name=value` of secret-sounding names and known keys hidden.

    `code`: text of a program, where what stands unquoted behind `token =` is an expression.
    """
    if not _SUSPECT.search(text):
        return text
    text = _QUERY.sub(rf"\g<key>{HIDDEN}", _URL.sub(rf"\g<scheme>{HIDDEN}@", text))
    text = _PAIR.sub(lambda match: _without_value(match, code), text)
    return _SHAPES.sub(HIDDEN, text)


def _without_value(match: re.Match[str], code: bool) -> str:
    kind, value = names_a_secret(match["name"]), match["value"]
    if value[0] == "[" and value[-1] == "]":  # of a weak name, indices more likely
        return f'{match["key"]}["{HIDDEN}"]' if kind == "sure" else match[0]
    quote = value[0] if value[0] in "\"'" and value[0] == value[-1] and len(value) > 1 else ""
    inner = value.strip("\"'")
    if kind == "weak":
        if quote:
            hide = len(inner) >= 4 and not re.search(r"\s", inner)
        elif match["name"].isupper():
            hide = True
        else:
            tight = match["equals"] == "=" and not inner.isdigit()
            hide = not code and (tight or bool(_LIKELY.fullmatch(inner)))
    else:
        hide = kind == "sure"
    return f"{match['key']}{quote}{HIDDEN}{quote}" if hide else match[0]


def scrubbed_command(words: list[str]) -> list[str]:
    """A command line: as `scrubbed`, and the value of a flag like --token is hidden."""
    out, hide = [], False
    for word in words:
        shown = _FLAG_PAIR.sub(rf"\g<key>{HIDDEN}", scrubbed(word))
        # A flag behind a flag: the first one had no value.
        out.append(HIDDEN if hide and not word.startswith("-") else shown)
        hide = bool(_FLAG.fullmatch(word))
    return out


def masked(value: Any, kind: str = "") -> Any:
    """A copy of plain data without secrets: values under secret-sounding keys, and in any text.

    Numbers with a fraction stay: no password is one, and a score may have any name.
    """
    # first, and by type: most of what a run writes is figures
    if type(value) in PLAIN:
        return value
    if isinstance(value, str):
        return HIDDEN if kind and value else scrubbed(value)
    if isinstance(value, int):
        return HIDDEN if kind == "sure" else value
    if isinstance(value, Mapping):
        copy = {}
        for key, one in value.items():
            name, own = _key(key) if isinstance(key, str) else (key, "")
            copy[name] = masked(one, own or kind)
        return copy
    if isinstance(value, list | tuple):
        return [masked(one, kind) for one in value]
    if hasattr(value, "__fspath__"):
        return scrubbed(str(value.__fspath__()))
    return value


@lru_cache(maxsize=4096)
def _key(key: str) -> tuple[str, str]:
    """A key as it is written, and whether what stands under it is a secret."""
    return scrubbed(key), names_a_secret(key)


def hidden_values(value: Any, kind: str = "") -> set[str]:
    """The texts that `masked` hides for the names of their keys."""
    if isinstance(value, Mapping):
        pairs = ((one, _key(str(key))[1] or kind) for key, one in value.items())
        return set().union(*(hidden_values(one, own) for one, own in pairs))
    if isinstance(value, list | tuple):
        return set().union(*(hidden_values(one, kind) for one in value))
    whole = isinstance(value, int) and not isinstance(value, bool) and kind == "sure"
    return {str(value)} if (isinstance(value, str) and value and kind) or whole else set()


def hidden_path(value: Any, path: str = "") -> str:
    """Where in plain data a value was hidden, as `data.password`; '' if nowhere."""
    if isinstance(value, str):
        return path if HIDDEN in value else ""
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else ()
    if isinstance(value, list | tuple):
        items = enumerate(value)
    inner = (hidden_path(one, f"{path}.{key}".lstrip(".")) for key, one in items)
    return next((where for where in inner if where), "")
