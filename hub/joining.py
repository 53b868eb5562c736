"""Join requests that come through the broker: from the sealed request to the sealed answer, one transaction each.

For: what the loop does with a payload from a mailbox of a machine that has no name yet.
May not: trust anything in a request before its seal and signature held; answer to another mailbox than it came from.
Spec: docs/protocol/trust.md, "Enrolment"; docs/protocol/topics.md, "Joining".
"""

from __future__ import annotations

from pathlib import Path

from conflict.ledger.store import Store
from hub import enrolment, refusals, succession
from hub.documents import Shelf
from protocol.enrol import open_request, seal_answer
from protocol.envelope import envelope_id
from protocol.errors import RemoteProtocolError, WrongRecipient
from protocol.keys import DeviceKeys
from protocol.succession import is_succession


class Joins:
    """Answers join requests."""

    def __init__(self, directory: Path, store: Store, shelf: Shelf, keys: DeviceKeys) -> None:
        self._directory = directory
        self._store = store
        self._shelf = shelf
        self._keys = keys

    def answer(self, box: str, payload: bytes, *, now_ms: int) -> tuple[bytes | None, bool]:
        """(sealed answer for `box` or None if the bytes deserve none, whether the roster changed).

        The broker account is written after the commit and before the answer leaves.
        """
        try:
            request = open_request(payload, keys=self._keys)
            if request.reply_box != box:
                raise WrongRecipient("a join request that wants its answer elsewhere", "入网申请的回信地址与来源不符。")
        except RemoteProtocolError as error:
            one = refusals.Refusal("join", envelope_id(payload), error.code, error.text_zh, evidence=payload)
            with self._store.write(reserve=True) as tx:
                refusals.record(tx, one, now_ms=now_ms)
            return None, False
        try:
            with self._store.write() as tx:
                self._shelf.refresh(tx)
                if is_succession(request):
                    done = succession.admit(tx, self._shelf, self._keys, request, now_ms=now_ms)
                else:
                    done = enrolment.admit(tx, self._shelf, self._keys, request, now_ms=now_ms, with_documents=False)
        except BaseException:
            self._shelf.reset()
            raise
        enrolment.write_accounts(self._directory, done.accounts)
        sealed = seal_answer(done.answer, keys=self._keys, seal_public=request.seal_public, device_suite=request.suite)
        return sealed, done.new
