"""Removes secrets before anything is written down: of URLs, command lines and diffs.

`token` alone is an everyday word here (`cls_token = nn.Parameter(...)`), so in running text it
needs a quoted value to be hidden; as a flag, in a URL or in capitals it does not.
"""

import re

HIDDEN = "***"
_STRONG = (
    r"(?:passw(?:or)?d|passphrase|secret|credential|authorization"
    r"|(?:api|access|private|account|signing)[_-]?key"
    r"|(?:api|access|auth|bearer|refresh|session|bot|hf|hub|github|gitlab|wandb)[_-]?token)"
)
_WORD = r"[\w.-]*" + _STRONG + r"[\w-]*"
# up to what ends a value in text, in a URL or in JSON
_VALUE = r"[^\s\"'&,;]+"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]+@")
_QUERY = re.compile(
    rf"(?P<key>[?&](?:sig|signature|key|[\w-]*token|x-amz-[\w-]+|{_WORD})=)[^&\s'\"#]+", re.I
)
_PAIR = re.compile(
    rf"(?P<key>\b{_WORD}[\"']?\s*[:=]\s*(?:bearer\s+|basic\s+)?[\"']?){_VALUE}", re.I
)
_CAPITALS = re.compile(rf"(?P<key>\b[A-Z0-9_]*TOKEN[\"']?\s*[:=]\s*[\"']?){_VALUE}")
_QUOTED = re.compile(r"(?P<key>\b[\w.-]*token[\"']?\s*[:=]\s*[\"'])[^\s\"']{8,}", re.I)
_FLAG = re.compile(rf"-{{1,2}}(?:{_WORD}|[\w-]*token)", re.I)
_FLAG_PAIR = re.compile(r"(?P<key>^-{1,2}[\w-]*token=).+", re.I)
# by their own shape, where no name beside them gives them away
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}\b|\bgithub_pat_\w{20,}\b"
    r"|\bhf_[A-Za-z0-9]{20,}\b|\bsk-[A-Za-z0-9_-]{20,}\b|\bxox[abprs]-[\w-]{10,}\b"
    r"|\bey[JK][\w-]{10,}\.[\w-]{10,}\.[\w-]+"
    # To the end if need be: a diff that was cut off may hold only the beginning of a key.
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)


def without_credentials(url: str) -> str:
    """`scheme://user:password@host` as `scheme://host`, and signed query values hidden."""
    return _QUERY.sub(rf"\g<key>{HIDDEN}", _URL.sub(r"\g<scheme>", url))


def scrubbed(text: str) -> str:
    """`text` with URL credentials, `name=value` of secret-sounding names and known keys hidden."""
    text = without_credentials(text)
    for pattern in (_PAIR, _CAPITALS, _QUOTED):
        text = pattern.sub(rf"\g<key>{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def scrubbed_command(words: list[str]) -> list[str]:
    """A command line: as `scrubbed`, and the value of a flag like --token is hidden."""
    out, hide = [], False
    for word in words:
        shown = _FLAG_PAIR.sub(rf"\g<key>{HIDDEN}", scrubbed(word))
        # A flag behind a flag: the first one had no value.
        out.append(HIDDEN if hide and not word.startswith("-") else shown)
        hide = bool(_FLAG.fullmatch(word))
    return out
