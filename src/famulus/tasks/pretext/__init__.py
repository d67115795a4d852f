"""Pretext: questions without labels, and what they help."""

from famulus.moved import in_its_file

TASKS = ("pretext", "transfer")
__getattr__ = in_its_file(__name__, "pretext")
