"""Sources and splits, the feeder, its order and its random streams."""
