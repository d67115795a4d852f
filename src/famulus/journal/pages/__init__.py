"""Facts as pages, offline and complete."""
