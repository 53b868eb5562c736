"""The acts of a county around a restore of its hub: what was published after the backup, and what is there afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edge import outbox
from edge.join import finish, prepare, request_bytes
from edge.reference import Reference
from edge.service import Application, Saved
from edge.staff import Actor
from hub import broker_accounts, enrolment, notices
from hub.enrolment import write_accounts
from hub.init import settle_restored
from protocol import topics
from protocol.enrol import EnrolCode, JoinRequest, open_request, seal_answer
from protocol.roster import REVOKED
from tests.unit.edge.county import GOOD_ID
from tests.unit.edge.line import ITEM, NEIGHBOUR, TOWN, VILLAGE, World

OFFICES = {"village": VILLAGE, "town": TOWN}
CHIEF = Actor("chief", "chief")
KINDS = ("roster", "catalogue", "calendar")


class PutBack(World):
    """`back_up`, let things happen, `put_back`."""

    def back_up(self) -> Path:
        backup = self.directory / "hub.backup"
        self.hub.store.backup_to(backup)
        return backup

    def put_back(self, backup: Path, *, marked: bool = True) -> None:
        """As `liandong restore` and the start of the daemon do it; unmarked: a virtual machine that was set back."""
        self.hands.forward(600_000)
        self.restore_hub(backup)
        passwords = broker_accounts.passwords_path(self.hub.directory)
        passwords.unlink(missing_ok=True)
        if marked:
            (self.hub.directory / "restored.json").write_text("{}")
            assert settle_restored(self.hub, now_ms=self.hands.now_ms, random_bytes=os.urandom)
            with self.hub.store.read() as tx:
                self.hub.shelf.refresh(tx)
            self.start_hub()
        for name in self.nodes:
            self.connect(name)

    def publish_items(self, **changes: Any) -> int:
        """A catalogue in which one item has changed."""
        items = [dict(item) for item in self.hub.shelf.items.values()]
        for item in items:
            if item["code"] == ITEM:
                item.update(changes)
            del item["version"], item["from_ms"]
        with self.hub.store.write() as tx:
            return self.hub.shelf.publish_catalogue(tx, self.hub.keys, items, now_ms=self.hands.now_ms)

    def publish_calendar(self, day: str) -> int:
        content = {"years": {"2026": {"off": [day], "work": []}}, "source": "test"}
        with self.hub.store.write() as tx:
            return self.hub.shelf.publish_calendar(tx, self.hub.keys, content, now_ms=self.hands.now_ms)

    def late(self, name: str = "late", office: str = NEIGHBOUR) -> bytes:
        """A device that is enrolled now. Its name."""
        device = self.enrol(name, office).keys.incarnation
        user = topics.mailbox(device)
        write_accounts(self.hub.directory, [(user, broker_accounts.device_password(self.hub.keys.sign_seed, device))])
        return device

    def revoke(self, name: str) -> bytes:
        device = self.nodes[name].keys.incarnation
        with self.hub.store.write() as tx:
            enrolment.set_state(
                tx, self.hub.shelf, self.hub.keys, device, REVOKED, staff="周强", now_ms=self.hands.now_ms
            )
        return device

    def accept(self, name: str) -> Saved:
        self.hands.forward(1_000)
        return self.nodes[name].service.accept(CHIEF, Application(ITEM, "张三", GOOD_ID))

    def code(self, office: str) -> bytes:
        with self.hub.store.write() as tx:
            made = enrolment.make_code(
                tx,
                self.hub.config,
                self.hub.shelf.roster,
                office,
                staff="周强",
                now_ms=self.hands.now_ms,
                random_bytes=os.urandom,
            )
        return made.code.secret

    def code_text(self, office: str) -> str:
        """A one-time code as it is read out."""
        secret, config = self.code(office), self.hub.config
        return EnrolCode(config.county, office, config.broker, self.hub.card.fingerprint, secret).to_text()

    def join_again(self, name: str) -> None:
        """`edge join --code` in the device's directory, and its daemon goes on."""
        node = self.nodes[name]
        _config, code, keys = prepare(node.directory, self.code_text(node.keys.office), self.hub.card)
        request = open_request(request_bytes(code, keys, self.hub.card, reply_box=""), keys=self.hub.keys)
        with self.hub.store.write() as tx:
            done = enrolment.admit(
                tx, self.hub.shelf, self.hub.keys, request, now_ms=self.hands.now_ms, with_documents=True
            )
        answer = seal_answer(done.answer, keys=self.hub.keys, seal_public=keys.seal_public, device_suite=keys.suite)
        finish(node.directory, answer, node.clock)
        self.connect(name)

    def banners(self, name: str) -> set[str]:
        """Codes of the banners in the device's status."""
        return {str(one["code"]) for one in self.nodes[name].status()["banners"]}

    def ask(self, secret: bytes, keys: Any) -> str:
        """The refusal that a machine with these keys gets for this code; "" if it is let in."""
        request = JoinRequest(
            keys.county, keys.office, keys.sign_public, keys.seal_public, keys.suite, secret, "PC", ""
        )
        with self.hub.store.write() as tx:
            done = enrolment.admit(
                tx, self.hub.shelf, self.hub.keys, request, now_ms=self.hands.now_ms, with_documents=False
            )
        return done.answer.refused

    def versions(self, name: str = "hub") -> dict[str, int]:
        if name == "hub":
            return {kind: self.hub.shelf.version(kind) for kind in KINDS}
        node = self.nodes[name]
        with node.store.read() as tx:
            return Reference(node.reference.trust).versions(tx)

    def state(self, device: bytes) -> str:
        found = self.hub.shelf.roster.device(device)
        return found.state if found else "unknown"

    def outcomes(self, name: str) -> dict[str, int]:
        with self.nodes[name].store.read() as tx:
            return {state: count for state, count in outbox.counts(tx).items() if count}

    def notices(self) -> set[str]:
        with self.hub.store.read() as tx:
            return {one.code for one in notices.open_notices(tx)}

    def accounts(self) -> set[str]:
        file = broker_accounts.AccountFile(self.hub.directory)
        file.refresh()
        return set(file._accounts)
