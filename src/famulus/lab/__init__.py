"""Famulus as a library: models to use, and a store to run experiments in and to read."""
