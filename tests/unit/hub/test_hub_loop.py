"""Goal: the loop serves many devices fairly, survives bad bytes, a failing store and a restored one.

Method: the real loop and real links of both sides over a mail room in memory; time is turned by hand.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conflict.ledger.errors import StoreFull, StoreUnreachable
from conflict.ledger.files import read_file
from conflict.ledger.views import view
from hub import admin, enrolment, notices, refusals, state, streams
from hub.init import County, open_county
from hub.sync_loop import SyncLoop
from hub.transaction import Work
from protocol import chunks, topics
from protocol.carriers.inbox import Counters
from protocol.enrol import JoinRequest, open_answer, seal_request
from protocol.envelope import open_envelope
from protocol.events import ChunkArrived, DocumentsOffered, Event, ProblemArrived, StreamArrived, WelcomeArrived
from protocol.lanes import EXPRESS, REST, Lane
from protocol.link import EdgeLink, HelloState
from protocol.messages import STREAM_OP, STREAM_RECEIPT
from protocol.offers import within
from protocol.op import Op
from protocol.receipt import open_receipt
from protocol.roster import REVOKED
from protocol.trust import Trust
from tests.unit.hub.hub_support import (
    COUNTY,
    FAR,
    NEIGHBOUR,
    NOW,
    TOWN,
    VILLAGE,
    Clock,
    Machine,
    enrol,
    hub_device,
    new_intake,
    random_source,
)
from tests.unit.hub.test_hub_enrolment import code, keys_of

FILE = {"material": "户口簿", "media": "image/jpeg", "name": "a", "grade": "C"}


class MailRoom:
    """What a broker does, in memory: one inbox for the hub, one per mailbox for the devices."""

    def __init__(self) -> None:
        self.generation = 1
        self.counters = Counters()
        self.inbox: deque[tuple[str, bytes]] = deque()
        self.boxes: dict[str, deque[bytes]] = {}
        self.open = True

    @property
    def state(self) -> str:
        return "online" if self.open else "offline"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        if not self.open:
            return False
        assert 0 < len(payload) <= 65_536
        self.counters.published += 1
        self.counters.acknowledged += 1
        self.boxes.setdefault(topic, deque()).append(payload)
        return True

    def receive(self, timeout: float = 0.0) -> tuple[str, bytes] | None:
        return self.inbox.popleft() if self.inbox else None

    def wait(self, timeout: float) -> bool:
        return bool(self.inbox)


class Far:
    """A device at the other end of the line: the real link over a store that is a few lists."""

    def __init__(self, machine: Machine, room: MailRoom, *ops: Op) -> None:
        self.machine, self.room = machine, room
        county = machine.county
        self.link = EdgeLink(
            keys=machine.keys,
            peer=hub_device(county),
            fraction=lambda: 0.5,
            random_bytes=random_source(len(room.boxes) + 7),
        )
        space = topics.space(county.card.fingerprint)
        box = topics.mailbox(machine.keys.incarnation)
        self.up, self.down = topics.up(space, box), topics.down(space, box)
        self.outbox: dict[int, Op] = {op.seq: op for op in ops}
        self.settled: dict[int, str] = {}
        self.got: list[bytes] = []
        self.events: list[Event] = []
        self.epoch, self.pos = b"", 0
        self.documents = {"roster": county.shelf.version("roster"), "catalogue": 1, "calendar": 1}
        self.files: dict[bytes, bytes] = {}
        self.lacks: dict[bytes, int] = {}
        self.pieces: dict[bytes, dict[int, bytes]] = {}
        self.urgent = False
        self.express: set[int] = set()  # numbers of ops of urgent cases

    def hello(self) -> HelloState:
        head = max(self.outbox, default=0)
        pending = len(self.outbox) - len(self.settled)
        return HelloState("test", self.documents, self.epoch, self.pos, head, {"pending": pending}, self.urgent)

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        rows = [(seq, self.outbox[seq].blob) for seq in self.left(rank) if seq > after]
        return within(rows[:count_max], bytes_max)

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        return next(iter(self.left(rank)), None)

    def more(self, after: int, rank: int | None = None) -> bool:
        return any(seq > after for seq in self.left(rank))

    def left(self, rank: int | None) -> list[int]:
        """Unsettled numbers of this rank."""
        ranks = {seq: EXPRESS if seq in self.express else REST for seq in self.outbox}
        return sorted(seq for seq in ranks.keys() - self.settled.keys() if rank in (None, ranks[seq]))

    def lane_of(self, sha256: bytes) -> Lane:
        return Lane.ATTACHMENTS

    def wants(self) -> list[tuple[bytes, list[list[int]]]]:
        wants = []
        for sha256, size in self.lacks.items():
            held = self.pieces.get(sha256, {})
            missing = [index for index in range(chunks.count_of(size)) if index not in held]
            if missing:
                wants.append((sha256, chunks.ranges(missing)))
        return wants

    def chunk(self, sha256: bytes, index: int) -> tuple[int, bytes] | None:
        content = self.files.get(sha256)
        if content is None:
            return None
        return len(content), content[index * chunks.CHUNK_BYTES : (index + 1) * chunks.CHUNK_BYTES]

    def step(self, mono_ms: int) -> None:
        """Take what came, answer, offer."""
        mail = self.room.boxes.setdefault(self.down, deque())
        while mail:
            opened = open_envelope(
                mail.popleft(), keys=self.machine.keys, speaker=lambda _name: hub_device(self.machine.county)
            )
            for event in self.link.receive(opened, mono_ms):
                self.events.append(event)
                self._take(event)
        if self.room.open:
            self.room.inbox.extend((self.up, envelope) for envelope in self.link.poll(mono_ms, self))

    def _take(self, event: Event) -> None:
        if isinstance(event, WelcomeArrived) and event.welcome.epoch != self.epoch:
            self.epoch, self.pos = event.welcome.epoch, 0
        elif isinstance(event, StreamArrived):
            for what, blob in event.items:
                if what == STREAM_OP:
                    self.got.append(blob)
                elif what == STREAM_RECEIPT:
                    self._settle(blob)
            self.pos = event.last
            self.link.stream_committed(event.epoch, event.last)
        elif isinstance(event, ChunkArrived):
            self.pieces.setdefault(event.chunk.sha256, {})[event.chunk.index] = event.chunk.data

    def _settle(self, blob: bytes) -> None:
        receipt = open_receipt(blob, Trust.of(self.machine.county.card))
        if receipt.author == self.machine.keys.incarnation:
            for run in receipt.accepted:
                self.settled |= dict.fromkeys(range(run.first_seq, run.last_seq + 1), "accepted")
            self.settled |= {one.seq: one.code for one in receipt.refused}


def new_case(machine: Machine) -> Op:
    """A case of an applicant of its own."""
    mark = f"{machine.keys.incarnation.hex()[:6]}{machine.seq}"
    fields = {"applicant_name": f"王{mark}", "applicant_id": mark, "applicant_phone": mark}
    return machine.accept(body={"fields": fields})


class Stage:
    """A hub's loop and some devices around one mail room."""

    def __init__(self, county: County) -> None:
        self.county, self.room, self.clock = county, MailRoom(), Clock()
        self.mono_ms = 1_000_000
        self.devices: list[Far] = []
        self.intake = new_intake(county, self.clock)
        self.loop = self.new_loop()

    def new_loop(self) -> SyncLoop:
        rng = random.Random(3)
        return SyncLoop(
            self.county,
            self.room,
            self.intake,
            now_ms=self.clock,
            mono_ms=lambda: self.mono_ms,
            fraction=rng.random,
            random_bytes=rng.randbytes,
        )

    def device(self, office: str, seed: int, cases: int = 0) -> Far:
        machine = enrol(self.county, office, seed=seed)
        far = Far(machine, self.room, *[new_case(machine) for _ in range(cases)])
        far.link.connected(self.mono_ms)
        self.devices.append(far)
        return far

    def run(self, rounds: int = 10, *, ms: int = 200) -> None:
        for _ in range(rounds):
            self.mono_ms += ms
            self.clock.ms += ms
            for device in self.devices:
                device.step(self.mono_ms)
            self.loop.step()


@pytest.fixture
def stage(county: County) -> Iterator[Stage]:
    made = Stage(county)
    yield made
    made.intake.close()


def test_ops_go_up_receipts_and_ops_come_down(stage: Stage) -> None:
    village, town = stage.device(VILLAGE, 1, cases=3), stage.device(TOWN, 2)
    far = stage.device(FAR, 3)
    stage.run()
    assert village.settled == {1: "accepted", 2: "accepted", 3: "accepted"}
    assert town.got == [op.blob for op in village.outbox.values()]
    assert village.got == [] and far.got == []  # its own are left out; others' are not its business
    node = next(node for node in admin.list_nodes(stage.county) if node["office"] == TOWN)
    assert (node["behind_down"], node["state"], node["software"]) == (0, "active", "test")


def test_new_device_of_an_office_loads_its_scope(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=4)
    stage.run()
    replaced = stage.device(VILLAGE, 2)
    stage.run()
    assert replaced.got == [op.blob for op in village.outbox.values()]


def test_welcome_says_how_far_the_hub_is(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=2)
    stage.run(6)
    village.link.greet_again(stage.mono_ms)
    stage.run(3)
    welcome = [event.welcome for event in village.events if isinstance(event, WelcomeArrived)][-1]
    assert (welcome.held_seq, welcome.held_id) == (2, village.outbox[2].id)
    assert welcome.state == "active" and welcome.certificate == stage.county.card.certificate
    assert welcome.retry_ms == 0


def test_bad_bytes_stop_nobody(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=1)
    space = topics.space(stage.county.card.fingerprint)
    stage.room.inbox.extend(
        [
            (topics.up(space, "someone"), b"garbage"),
            ("another/topic", b"x"),
            (topics.up(space, "join-abc"), b"no request"),
            (village.up, bytes(1_000)),
        ]
    )
    stage.run(8)
    assert village.settled == {1: "accepted"}
    with stage.county.store.read() as tx:
        assert len(refusals.listed(tx)) == 4


def test_op_that_cannot_be_read_is_told_to_its_sender(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1)
    forged = village.machine.accept(seed=bytes(32))
    village.outbox = {1: forged}
    stage.run(8)
    assert village.settled == {1: "bad_signature"}
    problems = [event for event in village.events if isinstance(event, ProblemArrived)]
    assert problems and problems[0].about == forged.id


def test_documents_come_in_chunks_and_news_are_announced(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1)
    village.documents = {}
    stage.run(4)
    offered = next(event for event in village.events if isinstance(event, DocumentsOffered))
    village.lacks = {sha256: size for _kind, _version, _base, sha256, size in offered.documents}
    stage.run(20)
    whole = {sha256: b"".join(parts[at] for at in sorted(parts)) for sha256, parts in village.pieces.items()}
    assert sorted(whole.values()) == sorted(stage.county.shelf.whole())
    village.events.clear()
    enrol(stage.county, NEIGHBOUR, seed=9)
    stage.run(6)
    news = [row for event in village.events if isinstance(event, DocumentsOffered) for row in event.documents]
    assert [(kind, version) for kind, version, *_rest in news] == [("roster", 3)] * len(news) and len(news) == 1


def test_attachment_goes_up_and_down_to_who_holds_the_case(stage: Stage) -> None:
    village, town, stranger = stage.device(VILLAGE, 1), stage.device(TOWN, 2), stage.device(FAR, 3)
    content = random.Random(1).randbytes(100_000)
    sha256 = hashlib.sha256(content).digest()
    opened = village.machine.accept()
    attached = village.machine.op("attach", {**FILE, "sha256": sha256, "size": len(content)}, [opened])
    village.outbox = {1: opened, 2: attached}
    village.files = {sha256: content}
    town.lacks = stranger.lacks = {sha256: len(content)}
    stage.run(200)
    assert b"".join(town.pieces[sha256][at] for at in range(4)) == content
    assert stranger.pieces == {}


def test_machine_joins_through_the_broker_and_speaks_at_once(stage: Stage) -> None:
    county = stage.county
    made, keys = code(county), keys_of(VILLAGE, 21)
    trust, space = Trust.of(county.card), topics.space(county.card.fingerprint)
    request = JoinRequest(COUNTY, VILLAGE, keys.sign_public, keys.seal_public, 1, made.code.secret, "PC", "join-q")
    stage.room.inbox.append((topics.up(space, "join-q"), seal_request(request, keys=keys, hub=trust.hub)))
    stage.run(2)
    answer = open_answer(stage.room.boxes[topics.down(space, "join-q")].popleft(), keys=keys, trust=trust)
    assert answer.refused == ""
    machine = Machine(county, keys)
    far = Far(machine, stage.room, machine.accept())
    far.link.connected(stage.mono_ms)
    stage.devices.append(far)
    stage.run(6)
    assert far.settled == {1: "accepted"}


def test_card_waits_at_the_broker(stage: Stage) -> None:
    stage.run(1)
    space = topics.space(stage.county.card.fingerprint)
    assert list(stage.room.boxes[topics.card(space)]) == [stage.county.card.to_bytes()]


def test_revoked_device_is_heard_but_its_ops_are_held(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=1)
    stage.run(2)
    county = stage.county
    with county.store.write() as tx:
        enrolment.set_state(
            tx, county.shelf, county.keys, village.machine.keys.incarnation, REVOKED, staff="周强", now_ms=NOW
        )
    late = village.machine.accept()
    stage.room.inbox.append((village.up, village.machine.envelope(late)))
    stage.run(3)
    assert [row["op"] for row in admin.list_held(county)] == [late.id.hex()]
    with county.store.read() as tx:
        assert streams.length(tx, COUNTY) == 1  # only what came before the revocation


def test_revoked_device_gets_nothing_more(stage: Stage) -> None:
    lost, village = stage.device(TOWN, 1), stage.device(VILLAGE, 2)
    stage.run(4)
    county = stage.county
    with county.store.write() as tx:
        enrolment.set_state(
            tx, county.shelf, county.keys, lost.machine.keys.incarnation, REVOKED, staff="周强", now_ms=NOW
        )
    stage.run(4)
    village.outbox = {1: new_case(village.machine)}
    lost.link.greet_again(stage.mono_ms)
    stage.run(8)
    assert village.settled == {1: "accepted"} and lost.got == []


def test_full_disk_answers_nothing_and_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    village = stage.device(VILLAGE, 1, cases=1)
    stage.run(1)
    take = stage.intake.take_ops

    def full(*_arguments: Any) -> Any:
        raise StoreFull("The disk is full.", "磁盘已满。")

    monkeypatch.setattr(stage.intake, "take_ops", full)
    with pytest.raises(StoreFull):
        stage.run(5)
    assert village.settled == {}
    monkeypatch.setattr(stage.intake, "take_ops", take)
    stage.run(10)
    stage.run(60, ms=1_000)  # the device offers again after its pause
    assert village.settled == {1: "accepted"}


def test_a_change_is_seen_although_the_store_failed_under_the_look(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away between two questions: the change used to count as seen, and nobody was told of it."""
    village = stage.device(VILLAGE, 1)
    stage.run(10)
    village.events.clear()
    enrol(stage.county, NEIGHBOUR, seed=9)
    epoch_of = state.epoch_of

    def away(tx: Any) -> bytes:
        monkeypatch.setattr(state, "epoch_of", epoch_of)
        raise StoreUnreachable("The database server does not answer.", "数据库服务器没有响应。")

    monkeypatch.setattr(state, "epoch_of", away)
    with pytest.raises(StoreUnreachable):
        stage.run(5)
    stage.run(10)
    assert [event for event in village.events if isinstance(event, DocumentsOffered)]


def test_many_devices_are_served_alike(stage: Stage) -> None:
    offices = [code for code, office in stage.county.shelf.roster.offices.items() if office.level == "village"][:40]
    devices = [stage.device(office, 100 + at, cases=3) for at, office in enumerate(offices)]
    stage.run(12)
    assert all(len(device.settled) == 3 for device in devices)
    with stage.county.store.read() as tx:
        assert streams.length(tx, COUNTY) == 120


def test_broker_that_takes_nothing_more(stage: Stage) -> None:
    """What the broker has not acknowledged is bounded; when it goes on, so does the hub."""
    village = stage.device(VILLAGE, 1, cases=2)
    stage.loop.step()
    stage.room.counters.published += 1_000
    stage.run(4)
    assert not any(isinstance(event, WelcomeArrived) for event in village.events)
    stage.room.counters.acknowledged += 1_000
    stage.run(8)
    assert len(village.settled) == 2


def test_restarted_hub_answers_devices_that_go_on_talking(stage: Stage) -> None:
    village = stage.device(VILLAGE, 1, cases=1)
    stage.run(8)
    stage.loop = stage.new_loop()
    village.outbox |= {op.seq: op for op in [new_case(village.machine)]}
    stage.run(8)
    assert len(village.settled) == 2


def test_nothing_is_lost_while_the_line_is_down(stage: Stage) -> None:
    village, town = stage.device(VILLAGE, 1, cases=2), stage.device(TOWN, 2)
    stage.run(1)
    stage.room.open = False
    stage.room.inbox.clear()
    stage.run(10)
    assert village.settled == {} and town.got == []
    stage.room.open = True
    for device in (village, town):
        device.link.connected(stage.mono_ms)
    stage.run(8)
    assert len(village.settled) == 2 and len(town.got) == 2


def test_hub_restored_from_yesterday_notices_and_gets_everything_again(stage: Stage, tmp_path: Path) -> None:
    import shutil

    county = stage.county
    village, town = stage.device(VILLAGE, 1, cases=2), stage.device(TOWN, 2)
    stage.run(8)
    county.store.backup_to(tmp_path / "yesterday.db")
    more = [new_case(village.machine), new_case(village.machine)]
    village.outbox |= {op.seq: op for op in more}
    stage.run(40)
    assert len(village.settled) == 4 and len(town.got) == 4
    county.store.close()
    (county.directory / "hub.db-wal").unlink(missing_ok=True)
    shutil.copy(tmp_path / "yesterday.db", county.directory / "hub.db")
    stage.county = restored = open_county(county.directory)
    village.machine.county = town.machine.county = restored
    stage.intake = new_intake(restored, stage.clock)
    with restored.store.read() as tx:
        before = state.epoch_of(tx)
    stage.clock.ms += 86_400_000
    stage.loop = stage.new_loop()
    for device in (village, town):
        device.link.greet_again(stage.mono_ms)
    stage.run(4)
    with restored.store.read() as tx:
        assert state.epoch_of(tx) != before
        assert "hub_restored" in {one.code for one in notices.open_notices(tx)}
    assert [event.welcome.held_seq for event in village.events if isinstance(event, WelcomeArrived)][-1] == 2
    village.settled = {seq: said for seq, said in village.settled.items() if seq <= 2}  # what held_seq tells the edge
    village.link.connected(stage.mono_ms)  # as the edge's loop does when ops are open again
    stage.run(20)
    assert len(village.settled) == 4
    with restored.store.read() as tx:
        assert {view(tx, op.id).status for op in more} == {"accepted"}
    restored.store.close()


def test_silent_device_hears_of_news_within_two_seconds_of_a_restart_of_the_hub(stage: Stage) -> None:
    """It has nothing to say and its line has not broken: before, it waited for its own heartbeat, up to 45 s."""
    village, town = stage.device(VILLAGE, 1), stage.device(TOWN, 2)
    stage.run(8)
    stage.loop = stage.new_loop()
    opened = new_case(village.machine)
    village.outbox |= {opened.seq: opened}
    stage.run(10)
    assert town.got == [opened.blob]


def test_silent_device_hears_of_a_new_epoch_within_two_seconds_of_the_restart(stage: Stage) -> None:
    """A restored hub asks who was there before under its new epoch: that was passed over, and 45 s went by."""
    village = stage.device(VILLAGE, 1)
    stage.run(8)
    with stage.county.store.write() as tx:
        state.new_epoch(tx, b"restored", now_ms=stage.clock.ms)
        epoch = state.epoch_of(tx)
    stage.loop = stage.new_loop()
    stage.run(10)
    assert village.epoch == epoch


def test_file_wanted_by_another_process_is_asked_of_its_holder(stage: Stage) -> None:
    """A stick was imported beside the daemon: the file it named was not asked for until the next ops came by the line."""
    content = b"x" * 40_000
    digest = hashlib.sha256(content).digest()
    village = stage.device(VILLAGE, 1)
    opened = new_case(village.machine)
    attached = village.machine.op("attach", {**FILE, "sha256": digest, "size": len(content)}, [opened])
    village.files[digest] = content
    stage.run(8)
    beside = open_county(stage.county.directory)
    with beside.store.write() as tx:
        work = Work(tx, beside.keys, beside.shelf, now_ms=NOW)
        work.take([opened, attached], via="stick")
        work.finish()
    beside.store.close()
    stage.run(20)
    with stage.county.store.read() as tx:
        assert read_file(tx, digest) == content


def test_device_that_claims_to_be_ahead_again_changes_nothing(stage: Stage) -> None:
    """The first claim begins a new epoch, in a young county too: without one, what the hub puts at places that a device
    has seen filled would not reach it for minutes. Another claim within ten minutes is told and begins nothing."""
    village = stage.device(VILLAGE, 1)
    stage.run(3)
    epochs = [village.epoch]
    for told in ({"hub_restored"}, {"hub_restored", "device_ahead"}):
        village.pos = 10**6
        village.link.greet_again(stage.mono_ms)
        stage.run(3)
        with stage.county.store.read() as tx:
            epochs.append(state.epoch_of(tx))
            assert {one.code for one in notices.open_notices(tx)} == told
    assert epochs[0] != epochs[1] == epochs[2]


def test_restored_directory_begins_a_new_epoch(county: County) -> None:
    from hub.init import settle_restored

    with county.store.read() as tx:
        before = state.epoch_of(tx)
    assert not settle_restored(county, now_ms=NOW)
    (county.directory / "restored.json").write_text("{}")
    assert settle_restored(county, now_ms=NOW) and not settle_restored(county, now_ms=NOW)
    with county.store.read() as tx:
        assert state.epoch_of(tx) != before
        assert [one.code for one in notices.open_notices(tx)] == ["hub_restored"]
