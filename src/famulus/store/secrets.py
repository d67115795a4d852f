"""Removes secrets before anything is written down: of URLs, command lines and diffs."""

import re

HIDDEN = "***"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]+@")
_WORD = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential"
    r"|(?:api|access|private|account)[_-]?key|authorization)[\w-]*"
)
_QUERY = re.compile(
    r"(?P<key>[?&](?:sig|signature|key|x-amz-[\w-]+|" + _WORD + r")=)[^&\s'\"#]+", re.I
)
_PAIR = re.compile(r"(?P<key>\b" + _WORD + r"[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,;]+", re.I)
_FLAG = re.compile(r"-{1,2}" + _WORD, re.I)
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_\w{20,}\b"
    r"|\bhf_[A-Za-z0-9]{20,}\b|\bsk-[A-Za-z0-9_-]{20,}\b|\bxox[abprs]-[\w-]{10,}\b"
    r"|\bey[JK][\w-]{10,}\.[\w-]{10,}\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)


def without_credentials(url: str) -> str:
    """`scheme://user:password@host` as `scheme://host`, and signed query values hidden."""
    return _QUERY.sub(rf"\g<key>{HIDDEN}", _URL.sub(r"\g<scheme>", url))


def scrubbed(text: str) -> str:
    """`text` with URL credentials, `name=value` of secret-sounding names and known keys hidden."""
    text = _PAIR.sub(rf"\g<key>{HIDDEN}", without_credentials(text))
    return _SHAPES.sub(HIDDEN, text)


def scrubbed_command(words: list[str]) -> list[str]:
    """A command line: as `scrubbed`, and the word after a flag like --token is hidden."""
    out, hide = [], False
    for word in words:
        out.append(HIDDEN if hide and not word.startswith("-") else scrubbed(word))
        hide = bool(_FLAG.fullmatch(word))
    return out
