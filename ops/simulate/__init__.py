"""ops.simulate: a county of simulated bad luck: the real edge, hub and protocol code on simulated time, lines, disks, clocks.

`run.simulate(options)` plays one seed; `faults.catalogue` names what can go wrong; `book.py` and `checks.py` say whether
anything was lost, doubled or kept silent, with bookkeeping of their own.
"""
