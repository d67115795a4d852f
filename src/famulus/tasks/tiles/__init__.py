"""Tiles: autoencoders of small pictures, and their losses."""

from famulus.moved import in_its_file

TASKS = ("tiles",)
__getattr__ = in_its_file(__name__, "tiles")
