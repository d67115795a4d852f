"""A training script that nobody changed, watched: what is seen of it, and how it is started.

`seams` replaces functions of torch while a watch is on; `session` hears of them and finds out who
trains what; `training` turns what is seen of one training into steps of a `Monitor`; `script` runs
a file as `python FILE` would.
"""
