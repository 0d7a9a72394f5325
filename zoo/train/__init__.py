"""Training: recipes as data, data modules in memory, and a Lightning module around a model.

Lightning (extra `train`) does the loop, devices, precision, checkpoints and resuming; here is what it is
given. Nothing of this is imported before it is used.
"""
