"""protocol: the language between devices: bytes, keys, links.

For: canonical bytes, ops, envelopes, receipts, documents, roster, the link, set comparison.
May not: import anything of ours; touch clock, randomness, sockets, files or a database, except in the one walled
room `protocol.carriers`.
Spec: docs/protocol/.
"""
