"""Famulus: a training laboratory for images and volumes."""

__version__ = "0.1.0"
