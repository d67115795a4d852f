"""The bench on which an experiment is tried before it is run: nets, batches and steps of a cell.

`diagnosis.controls` judge and are handed functions; these here make the functions. Everything is
fresh for each control, small, and under the cell's own random streams; nothing of it is kept.
"""
