"""The city's memory: cases by idempotency key, their files, and the numbered feed of answers.

For: one SQLite file in the platform's own directory; every call is one transaction, committed before it returns.
May not: know HTTP; be opened by two processes at once; import anything of ours but its settings and bundle form.
Spec: docs/protocol/city.md, "States".
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.city.bundle_check import ReceivedFile

STATES = ("received", "accepted", "returned", "decided", "withdrawn")
OPEN_STATES = ("received", "accepted")

SCHEMA = """
create table if not exists cases (
  serial integer primary key autoincrement, receipt text unique, key text not null unique, body_sha256 text not null,
  number text not null, bundle text not null, state text not null, answer text not null default '{}',
  received_ms integer not null, changed_ms integer not null);
create table if not exists files (
  receipt text not null, position integer not null, material text not null, name text not null, media text not null,
  sha256 text not null, content blob not null, primary key (receipt, position));
create table if not exists withdrawn_keys (key text primary key, reason text not null, at_ms integer not null);
create table if not exists answers (
  n integer primary key autoincrement, id text not null unique, receipt text not null, key text not null,
  kind text not null, body text not null, at_ms integer not null);
create index if not exists cases_by_state on cases (state, received_ms);
"""


class CityRefusal(Exception):
    """The platform says no. `status` is the HTTP status; `code` is stable; `facts` go into the answer as they are."""

    def __init__(self, status: int, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of handing in a bundle. repeated: the key was known with the same body."""

    receipt: str
    repeated: bool


class CityStore:
    """All that the platform knows. One connection, one thread at a time."""

    def __init__(self, directory: Path, office: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._office = office
        self._db = sqlite3.connect(directory / "city.db", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma synchronous = full")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file. Nothing is pending: every call committed."""
        self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def take(self, key: str, body_sha256: str, bundle: dict[str, Any], files: list[ReceivedFile], now_ms: int) -> Taken:
        """Take a complete bundle, once per key.

        Raises:  CityRefusal 409 if the key was used with another body (its receipt is in `facts`),
                 410 if the sender has withdrawn the key.
        """
        with self._write() as db:
            known = db.execute("select receipt, body_sha256 from cases where key = ?", (key,)).fetchone()
            if known is not None:
                if known["body_sha256"] != body_sha256:
                    raise CityRefusal(
                        409,
                        "key_used",
                        "this key came with another bundle before",
                        receipt=known["receipt"],
                        body_sha256=known["body_sha256"],
                    )
                return Taken(known["receipt"], repeated=True)
            if db.execute("select 1 from withdrawn_keys where key = ?", (key,)).fetchone():
                raise CityRefusal(410, "withdrawn", "the sender has withdrawn this key")
            return Taken(self._insert(db, key, body_sha256, bundle, files, now_ms), repeated=False)

    def _insert(
        self,
        db: sqlite3.Connection,
        key: str,
        body_sha256: str,
        bundle: dict[str, Any],
        files: list[ReceivedFile],
        now_ms: int,
    ) -> str:
        head = bundle | {"materials": [{k: v for k, v in m.items() if k != "content"} for m in bundle["materials"]]}
        cursor = db.execute(
            "insert into cases (key, body_sha256, number, bundle, state, received_ms, changed_ms)"
            " values (?, ?, ?, ?, 'received', ?, ?)",
            (key, body_sha256, bundle["number"], json.dumps(head, ensure_ascii=False), now_ms, now_ms),
        )
        day = (datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(hours=8)).strftime("%Y%m%d")
        receipt = f"{self._office}-{day}-{cursor.lastrowid:06d}"
        db.execute("update cases set receipt = ? where serial = ?", (receipt, cursor.lastrowid))
        db.executemany(
            "insert into files values (?, ?, ?, ?, ?, ?, ?)",
            [(receipt, n, f.material, f.name, f.media, f.sha256, f.content) for n, f in enumerate(files)],
        )
        self._publish(db, receipt, key, "received", {}, now_ms)
        return receipt

    def _publish(
        self, db: sqlite3.Connection, receipt: str, key: str, kind: str, body: dict[str, Any], now_ms: int
    ) -> None:
        count = db.execute("select count(*) from answers where receipt = ?", (receipt,)).fetchone()[0]
        db.execute(
            "insert into answers (id, receipt, key, kind, body, at_ms) values (?, ?, ?, ?, ?, ?)",
            (f"{receipt}-{count + 1}", receipt, key, kind, json.dumps(body, ensure_ascii=False), now_ms),
        )

    def move(self, receipt: str, state: str, body: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """An open case becomes accepted, returned, decided or withdrawn, and the feed gets its answer.

        Raises:  CityRefusal 404 for an unknown receipt, 409 if the case has ended in another way.
        """
        with self._write() as db:
            row = db.execute("select * from cases where receipt = ?", (receipt,)).fetchone()
            if row is None:
                raise CityRefusal(404, "unknown_receipt", "no case has this receipt number")
            if row["state"] == state:
                return _case_of(row)
            if row["state"] not in OPEN_STATES:
                raise CityRefusal(409, "ended", f"the case is {row['state']}", state=row["state"])
            if state in ("returned", "decided") and row["state"] == "received":
                self._publish(db, receipt, row["key"], "accepted", {}, now_ms)
            self._publish(db, receipt, row["key"], state, body, now_ms)
            db.execute(
                "update cases set state = ?, answer = ?, changed_ms = ? where receipt = ?",
                (state, json.dumps(body, ensure_ascii=False), now_ms, receipt),
            )
            return _case_of(db.execute("select * from cases where receipt = ?", (receipt,)).fetchone())

    def withdraw_key(self, key: str, reason: str, now_ms: int) -> dict[str, Any] | None:
        """The sender takes a key back whether or not its bundle arrived. Returns the case if there is one.

        Raises:  CityRefusal 409 if the case has already been decided or returned.
        """
        with self._write() as db:
            db.execute("insert or ignore into withdrawn_keys values (?, ?, ?)", (key, reason, now_ms))
            row = db.execute("select receipt from cases where key = ?", (key,)).fetchone()
        return None if row is None else self.move(row["receipt"], "withdrawn", {"reason": reason}, now_ms)

    def case(self, receipt: str) -> dict[str, Any]:
        """Raises CityRefusal 404 for an unknown receipt."""
        row = self._db.execute("select * from cases where receipt = ?", (receipt,)).fetchone()
        if row is None:
            raise CityRefusal(404, "unknown_receipt", "no case has this receipt number")
        return _case_of(row)

    def cases(self) -> list[dict[str, Any]]:
        """Every case, oldest first."""
        return [_case_of(row) for row in self._db.execute("select * from cases order by serial")]

    def files(self, receipt: str) -> list[dict[str, Any]]:
        """The stored files of a case with the SHA-256 that was computed over their bytes."""
        rows = self._db.execute("select * from files where receipt = ? order by position", (receipt,))
        return [
            {k: row[k] for k in ("material", "name", "media", "sha256")} | {"size": len(row["content"])} for row in rows
        ]

    def answers(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Answers with a number above `after`, in order, at most `limit`."""
        rows = self._db.execute("select * from answers where n > ? order by n limit ?", (after, limit))
        return [_answer_of(row) for row in rows]

    def answers_of(self, receipt: str) -> list[dict[str, Any]]:
        """All answers about one case, in order."""
        return [
            _answer_of(row)
            for row in self._db.execute("select * from answers where receipt = ? order by n", (receipt,))
        ]

    def due(self, received_before_ms: int) -> list[str]:
        """Receipts of open cases that were received at or before that time."""
        rows = self._db.execute(
            "select receipt from cases where state in ('received', 'accepted') and received_ms <= ? order by serial",
            (received_before_ms,),
        )
        return [row["receipt"] for row in rows]


def _case_of(row: sqlite3.Row) -> dict[str, Any]:
    plain = {k: row[k] for k in ("receipt", "key", "number", "state", "body_sha256", "received_ms", "changed_ms")}
    answer: dict[str, Any] = json.loads(row["answer"])
    return plain | {"bundle": json.loads(row["bundle"])} | answer


def _answer_of(row: sqlite3.Row) -> dict[str, Any]:
    plain = {k: row[k] for k in ("n", "id", "receipt", "key", "kind", "at_ms")}
    return plain | {"body": json.loads(row["body"])}
