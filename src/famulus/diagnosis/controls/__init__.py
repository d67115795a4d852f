"""Experiments on the experiment: short runs that must come out one way if all is well.

A file a control of `famulus check`: what it measures on a `Bench` (`bench.py`), how that is judged,
and its `CHECK`. `order.py` lists them. `trials.py` is what a `Monitor` does after a run.
"""
