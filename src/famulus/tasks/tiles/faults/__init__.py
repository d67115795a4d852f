"""Faulty twins, one broken line each; see `famulus.tasks.faults`."""
