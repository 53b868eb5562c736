"""The hub's side on either database: a stick in, an answer back, and in again without any change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import streams
from hub.init import County
from hub.stick.taking import take
from protocol.carriers.bundle import read_bundle, write_bundle
from protocol.messages import STREAM_RECEIPT, Hello, Stream, Welcome
from tests.unit.hub.hub_support import COUNTY, VILLAGE, accepted, enrol, new_county


@pytest.fixture(params=["sqlite", "postgresql"])
def county(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[County]:
    url = "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    made = new_county(tmp_path / "hub", database=url)
    yield made
    made.store.close()


def test_a_stick_in_and_an_answer_back(county: County, tmp_path: Path) -> None:
    machine = enrol(county, VILLAGE, seed=5)
    ops = [machine.accept(), machine.accept()]
    versions = {kind: county.shelf.version(kind) for kind in ("roster", "catalogue", "calendar")}
    hello = Hello(b"session.", "test", versions, b"", 0, 2, {"pending": 2}, False)
    path = tmp_path / "up.ldb"
    envelopes = [machine.seal(hello), machine.envelope(*ops)]
    write_bundle(path, envelopes, county=COUNTY, sender=machine.keys.incarnation, created_ms=0)
    lengths = []
    for number in range(2):
        target = tmp_path / f"answer-{number}.ldb"
        taken, answered = take(county, path, answer_to=target, now_ms=lambda: machine.now_ms)
        assert (taken.new, taken.repeated, taken.bad) == (2 - 2 * number, 2 * number, 0) and answered is not None
        messages = [message for envelope in read_bundle(target) for message in machine.open(envelope)]
        assert isinstance(messages[0], Welcome) and messages[0].session == hello.session
        items = [item for message in messages if isinstance(message, Stream) for item in message.items]
        assert accepted(county, [blob for kind, blob in items if kind == STREAM_RECEIPT]) == [(1, 2)]
        with county.store.read() as tx:
            lengths.append(streams.length(tx, VILLAGE))
    assert lengths[0] == lengths[1]
