"""Volumes: bricks, readers, NIfTI."""
