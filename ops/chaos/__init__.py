"""ops.chaos: a county of real processes, killed and cut off at random while its offices work, judged by bookkeeping of its own.

`run.run(options)` plays one seed; `boundaries.py` and `order.py` look at the system calls of single commands.
"""
