"""What transparent pictures are laid on."""

from dataclasses import replace

from famulus.config.errors import ConfigError
from famulus.images.array_parts import StoredPart
from famulus.images.decoding import Ground
from famulus.images.files import FilePart
from famulus.images.layout import ALPHA
from famulus.images.parts import Part


def on_ground(part: Part, ground: Ground) -> Part:
    """`part` with that choice. Raises ConfigError for an array of RGBA, which is laid on black."""
    if isinstance(part, FilePart) and ground != "black":
        return replace(part, ground=ground)
    if isinstance(part, StoredPart) and part.layout.channels == ALPHA and ground != "black":
        raise ConfigError(
            f"data.background: an array of RGBA is laid on black, received {ground}: store RGB in"
            f" {part.label}"
        )
    return part
