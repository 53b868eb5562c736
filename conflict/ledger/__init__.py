"""The case ledger: ops, views, receipts, documents and files in one store, shared by edge and hub.

For: the walled room of conflict/ that touches a database. Callers open a store once, pass the transaction of their
`with store.write() as tx:` block to the functions of this package, and commit by leaving the block:

    store.py     open_store, Store (read, write, ensure, check, backup_to, data_version, close), daemon_lock, Component
    append.py    append, append_many -> Outcome; known, touched
    views.py     refold, view, ops_of, op, ops_by_id, heads, find, list_views, view_rows, digests,
                 cases_of_office, offices_of, op_ids, set_due
    chains.py    chain, chains_of, all_chains, gaps, found_forks        waiting.py  missing_parents, waiting_of
    receipts.py  save_receipt, receipts_of, last_hub_ms, save_outcomes, outcomes_of, with_outcome, ops_in_run
    meta.py      get_meta, put_meta, save_document, document, documents_after, document_versions
    check.py     check_contents, repair_views
    files.py     declare_file, save_file, put_chunk, missing_chunks, has_file, read_file, read_chunk, incomplete_files

May not: be imported by any other module of conflict/; know envelopes, devices' keys or people.
Manual: docs/operating/storage.md.
"""
