"""Goal: what the hub cannot write beside its store (the broker's password file) costs a pause, not the hub."""

from __future__ import annotations

import logging
import threading

import pytest

from hub.broker_accounts import PASSWORDS_NAME, passwords_path
from hub.init import County
from protocol import topics
from protocol.enrol import JoinRequest, open_answer, seal_request
from protocol.trust import Trust
from tests.unit.hub.hub_support import COUNTY, VILLAGE
from tests.unit.hub.test_hub_enrolment import code, keys_of
from tests.unit.hub.test_hub_loop import Stage


class OneRound(threading.Event):
    """A stop that the loop's first pause sets."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def test_a_password_file_that_cannot_be_written_does_not_end_the_hub(
    county: County, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk turns read-only, or full, between the commit of a join and its account; the machine asks again later."""
    stage = Stage(county)
    made, keys = code(county), keys_of(VILLAGE, 21)
    trust, space = Trust.of(county.card), topics.space(county.card.fingerprint)
    request = JoinRequest(COUNTY, VILLAGE, keys.sign_public, keys.seal_public, 1, made.code.secret, "PC", "join-q")
    asked = topics.up(space, "join-q"), seal_request(request, keys=keys, hub=trust.hub)
    directory = passwords_path(county.directory).parent
    if directory.exists():
        directory.rename(county.directory / "away")
    directory.write_bytes(b"")  # no file can be made in it
    stage.room.inbox.append(asked)
    with caplog.at_level(logging.ERROR, logger="liandong.hub"):
        stage.loop.run_forever(OneRound())
    assert "cannot be read or written" in caplog.text
    assert not stage.room.boxes.get(topics.down(space, "join-q")), "nothing is answered before the account is there"
    directory.unlink()
    stage.room.inbox.append(asked)
    stage.run(2)
    answer = open_answer(stage.room.boxes[topics.down(space, "join-q")].popleft(), keys=keys, trust=trust)
    assert answer.refused == "" and (directory / PASSWORDS_NAME).exists()
    stage.intake.close()
