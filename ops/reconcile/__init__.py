"""Nightly reconciliation: every office and the hub prove to each other that they hold the same facts, by content.

items.py says what is compared, comparer.py compares and repairs over the links, run.py asks for it and waits,
report.py writes down what was found.
"""
