"""A process that writes until it is stopped: what the crash tests start and kill.

usage: writer.py STORE NUMBER ROUNDS BATCH. After each commit one line "NUMBER SEQ" goes to stdout: what it then says is saved.
"""

from __future__ import annotations

import sys

from conflict.ledger.append import append_many
from conflict.ledger.meta import get_meta, put_meta
from conflict.ledger.store import open_store
from tests.unit.ledger.author import Author


def main(path: str, number: int, rounds: int, batch: int) -> None:
    """Append `rounds` batches as device `number`, and count every batch in a row that all writers share."""
    author = Author(number)
    with open_store(path, create=True) as store:
        for _ in range(rounds):
            ops = [author.accept() for _ in range(batch)]
            with store.write() as tx:
                append_many(tx, ops, arrived_ms=1, via="test")
                put_meta(tx, "batches", get_meta(tx, "batches", 0) + 1)
            sys.stdout.write(f"{number} {author.seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
