"""Planted bugs: what the simulator must be able to catch."""
