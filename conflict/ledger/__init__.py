"""The case ledger: ops, views, receipts, documents and files in one store, shared by edge and hub.

For: the walled room of conflict/ that touches a database. Callers open a store once (`conflict.ledger.store`), and pass
the transaction of their `with store.write() as tx:` block to the functions of this package, which never commit.
May not: be imported by any other module of conflict/; know envelopes, devices' keys or people.
Manual: docs/operating/storage.md.
"""
