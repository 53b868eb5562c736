"""edge: an office's device, at every level: what workers do with cases, with or without a network.

For: `edge.service` (the acts), `edge.main.open_node` (a device wired together), `edge.join` (a new device).
May not: import hub/ or ops/; need a network for anything but synchronising.
Manual: docs/operating/edge.md.
"""
