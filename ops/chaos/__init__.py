"""ops.chaos: a county of real processes, killed and cut off at random while its offices work, judged by bookkeeping of its own.

`run.run_chaos(options)` plays one seed; `saved_first.py` looks at the system calls of single commands.
"""
