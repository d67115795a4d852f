"""Faulty twins of tasks: each module is a sound task with one line broken, as in the journals.

They exist to be diagnosed. `famulus cases` allows them by itself; elsewhere one is allowed as any
module is: `famulus run experiments/cases/X.yaml --allow-module famulus.casebook.NAME`.
"""
