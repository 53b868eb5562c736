"""Compression dictionaries by number: data of the package, trained once, never changed, old ones stay readable.

For: `protocol.envelope`, which loads `N.zdict` by the number in an envelope's header.
Made by: `python -m ops.train_dictionary` (see docs/protocol/envelope.md, "Dictionaries").
"""
