"""Damage to a file's bytes: anywhere, and where formats keep their sizes, offsets and types.

Every function takes bytes and a random stream, and gives other bytes.
"""

import gzip
import io
import re
import struct
import zipfile
import zlib
from random import Random

HEADER = 600  # bytes at the front, and at the end of zip and parquet, where most is decided
NUMBERS = (0, 1, -1, 2, 255, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 2**63 - 1, 2**62)
FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e38, 1e-38)
WORDS = (
    *(b"9" * 5000, b"Infinity", b"NaN", b"-1", b"0", b"1e308", b"99999999999", b"null", b'"x"'),
    *(b"[" * 100_000, b"{}", b"[]", b"-Infinity", b"1.5", b"[" * 50 + b"1" + b"]" * 50, b"true"),
)
# offset, size and order of sizes, depths and offsets of voxels
FIELDS: dict[bytes, tuple[str, tuple[int, ...]]] = {
    b"GIF8": ("<H", (6, 8, 10)),
    b"BM": ("<I", (2, 10, 14, 18, 22, 26, 30, 34, 46)),
    b"\0\0\x08": (">I", (4, 8, 12)),
    b"RIFF": ("<I", (4, 16, 20, 24, 26)),
    b"\0\0\0\x0cjP": (">I", (0, 12, 20, 28, 40, 48, 52)),
}
NIFTI = {348: ("<h", (40, 42, 44, 46, 48, 70, 72)), 540: ("<q", (16, 24, 32, 40, 48, 168))}
NIFTI_FLOATS = (76, 80, 84, 108, 112, 116, 280, 284)


def flipped(raw: bytes, random: Random) -> bytes:
    """1 to 16 bytes changed, mostly at the front."""
    out = bytearray(raw)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if out:
            end = len(out) if random.random() < 0.3 else min(len(out), HEADER)
            out[random.randrange(end)] = random.choice((0, 255, 127, 128, random.randrange(256)))
    return bytes(out)


def cut(raw: bytes, random: Random) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


def inserted(raw: bytes, random: Random) -> bytes:
    at = random.randrange(len(raw) + 1)
    return raw[:at] + random.randbytes(random.choice((1, 4, 100))) + raw[at:]


def removed(raw: bytes, random: Random) -> bytes:
    at = random.randrange(len(raw) + 1)
    return raw[:at] + raw[at + random.choice((1, 4, 100)) :]


def doubled(raw: bytes, random: Random) -> bytes:
    at = random.randrange(len(raw) + 1)
    return raw[:at] + raw[max(0, at - 40) :]


def numbered(raw: bytes, random: Random) -> bytes:
    """An extreme number over 2, 4 or 8 bytes of the first or the last `HEADER`."""
    size, order = random.choice((2, 4, 8)), random.choice(("little", "big"))
    if len(raw) < size:
        return raw
    span = min(len(raw) - size, HEADER)
    at = random.randrange(span + 1)
    at = at if random.random() < 0.7 else len(raw) - size - at
    return _with(raw, at, _bytes(random.choice(NUMBERS), size, order))


def texted(raw: bytes, random: Random) -> bytes:
    """A number or a text of the first bytes replaced: 5,000 digits, Infinity, deep nesting."""
    tokens = list(re.finditer(rb'-?\d+(?:\.\d+)?|"[^"\n]*"|[a-z]{3,}', raw[: 20 * HEADER]))
    if not tokens:
        return numbered(raw, random)
    token = random.choice(tokens)
    return raw[: token.start()] + random.choice(WORDS) + raw[token.end() :]


def header(raw: bytes, random: Random) -> bytes:
    """An extreme value where this format keeps a size, a depth or an offset."""
    try:
        return _by_format(raw, random)
    # damaged before: its fields are where they are not looked for
    except Exception:
        return numbered(raw, random)


def _by_format(raw: bytes, random: Random) -> bytes:
    if raw[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(raw, random)
    if raw[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(raw, random)
    if raw[:2] == b"\x1f\x8b":
        return gzip.compress(any_of(gzip.decompress(raw), random), mtime=0)
    if raw[:4] == b"PK\x03\x04":
        return _zip(raw, random)
    if raw[:2] == b"\xff\xd8":
        return _jpeg(raw, random)
    for number, (form, places) in NIFTI.items():
        if raw[:4] == struct.pack("<i", number):
            if random.random() < 0.4 and number == 348:
                value = struct.pack("<f", random.choice(FLOATS))
                return _with(raw, random.choice(NIFTI_FLOATS), value)
            return _field(raw, random.choice(places), form, random)
    for magic, (form, places) in FIELDS.items():
        if raw.startswith(magic):
            return _field(raw, random.choice(places), form, random)
    if raw[128:132] == b"DICM":
        return _dicom(raw, random)
    return texted(raw, random)


ANYWHERE = (flipped, flipped, cut, cut, inserted, removed, doubled, numbered, numbered)
ANY = (*ANYWHERE, header, header, header, header, header, texted, texted)


def any_of(raw: bytes, random: Random) -> bytes:
    return random.choice(ANY)(raw, random)


def _with(raw: bytes, at: int, value: bytes) -> bytes:
    return raw[:at] + value + raw[at + len(value) :]


def _bytes(number: int, size: int, order: str) -> bytes:
    return (number % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]


def _field(raw: bytes, at: int, form: str, random: Random) -> bytes:
    order = "little" if form[0] == "<" else "big"
    return _with(raw, at, _bytes(random.choice(NUMBERS), struct.calcsize(form), order))


def _png(raw: bytes, random: Random) -> bytes:
    """Width, height, depth, colour type or interlace, with the checksum that fits."""
    at = random.choice((16, 20, 24, 25, 28))
    changed = bytearray(_with(raw, at, _bytes(random.choice(NUMBERS), 4 if at < 24 else 1, "big")))
    if at >= 24:
        changed[at] = random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return _with(bytes(changed), 29, struct.pack(">I", zlib.crc32(changed[12:29])))


def _jpeg(raw: bytes, random: Random) -> bytes:
    """Precision, sides or components of the frame."""
    frame = re.search(rb"\xff[\xc0\xc2]..", raw, re.DOTALL)
    if frame is None:
        return numbered(raw, random)
    at = frame.end() + random.choice((0, 1, 3, 5))
    value = _bytes(random.choice(NUMBERS), 2 if at - frame.end() in (1, 3) else 1, "big")
    return _with(raw, at, value)


def _tiff(raw: bytes, random: Random) -> bytes:
    """Tag, type, count or value of an entry of the first directory."""
    order, big = ("<" if raw[:1] == b"I" else ">"), raw[2:3] == b"+" or raw[3:4] == b"+"
    first = struct.unpack_from(f"{order}{'Q' if big else 'I'}", raw, 8 if big else 4)[0]
    entries = struct.unpack_from(f"{order}{'Q' if big else 'H'}", raw, first)[0]
    entry = first + (8 if big else 2) + random.randrange(entries) * (20 if big else 12)
    at, size = random.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 2)))
    value = _bytes(random.choice(NUMBERS), size, "little" if order == "<" else "big")
    return _with(raw, entry + at + 4 * (big and at == 8), value)


def _zip(raw: bytes, random: Random) -> bytes:
    """A member damaged, with sizes and checksums that fit, or another name; or a size claimed."""
    if random.random() < 0.4:
        records = [m.start() for m in re.finditer(rb"PK\x01\x02", raw)]
        at = random.choice(records) + random.choice((8, 10, 16, 20, 24, 28, 42))
        return _with(raw, at, _bytes(random.choice(NUMBERS), 4, "little"))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as before, zipfile.ZipFile(out, "w") as after:
        members = before.infolist()
        chosen = random.choice(members)
        for info in members:
            content, name = before.read(info), info.filename
            if info is chosen:
                if random.random() < 0.8:
                    content = any_of(content, random)
                else:
                    name = random.choice(("../x.png", "/etc/x", "a\\b.npy", "x" * 5000, "é\n.png"))
            after.writestr(name, content, info.compress_type)
    return out.getvalue()


def _dicom(raw: bytes, random: Random) -> bytes:
    """Rows, columns, samples, bits, sign, or a text of the frame."""
    tags = (0x0010, 0x0011, 0x0002, 0x0100, 0x0101, 0x0102, 0x0103)
    tag = raw.find(struct.pack("<HH", 0x0028, random.choice(tags)))
    if tag < 0 or random.random() < 0.3:
        texts = (b"\x28\0\x52\x10", b"\x28\0\x53\x10", b"\x20\0\x32\0", b"\x20\0\x37\0")
        tag = raw.find(random.choice(texts))
        size = struct.unpack_from("<H", raw, tag + 6)[0]
        word = random.choice((b"nan", b"inf", b"-1", b"0", b"1e400", b"x", b"0\\0\\0", b"1\\2"))
        return _with(raw, tag + 8, word[:size].ljust(size))
    return _with(raw, tag + 8, _bytes(random.choice(NUMBERS), 2, "little"))
