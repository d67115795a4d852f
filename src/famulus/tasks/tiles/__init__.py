"""Tiles: autoencoders of small pictures, and their losses."""

TASKS = ("tiles",)
