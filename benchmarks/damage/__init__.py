"""Small good inputs of every format, damage done to them, and what readers make of it."""
