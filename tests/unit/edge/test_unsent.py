"""The office's quota: what waits to be sent is counted, refused above the limit, and counted no more once it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from edge import desk, unsent
from edge.attachment import file_of
from edge.errors import AttachmentTooLarge, TooMuchUnsent
from edge.main import Node
from edge.schema import outbox
from edge.service import Application
from edge.staff import Actor
from tests.unit.edge.county import GOOD_ID

CHIEF = Actor("chief", "chief")


@pytest.fixture
def case(village: Node) -> Iterator[str]:
    yield village.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID)).case


def waiting(node: Node) -> tuple[int, int]:
    with node.store.read() as tx:
        return unsent.total(tx)


def test_counted_once_and_refused_above_the_limit(village: Node, case: str) -> None:
    village.service.desk.unsent_bytes_max = 2_000
    village.service.attach_file(CHIEF, case, file_of("a.bin", b"a" * 1_200))
    assert waiting(village) == (1, 1_200)
    with pytest.raises(TooMuchUnsent) as caught:
        village.service.attach_file(CHIEF, case, file_of("b.bin", b"b" * 801))
    assert caught.value.code == "attachments_waiting" and "附件" in caught.value.text_zh
    assert waiting(village) == (1, 1_200) and len(village.service.show(case)["materials"]) == 1  # nothing was changed
    village.service.note(CHIEF, case, "the case goes on")
    village.service.accept(CHIEF, Application("JF-1", "李四", GOOD_ID))
    village.service.attach_file(CHIEF, case, file_of("b.bin", b"b" * 800))
    assert waiting(village) == (2, 2_000)


def test_the_files_of_one_case_are_limited_together(village: Node, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is made small: a simulated run never reaches the 100 MiB of a real one."""
    monkeypatch.setattr(desk, "CASE_BYTES_MAX", 1_000)
    village.service.attach_file(CHIEF, case, file_of("a.bin", b"a" * 600))
    with pytest.raises(AttachmentTooLarge):
        village.service.attach_file(CHIEF, case, file_of("b.bin", b"b" * 401))
    village.service.attach_file(CHIEF, case, file_of("b.bin", b"b" * 400))
    other = village.service.accept(CHIEF, Application("JF-1", "李四", GOOD_ID)).case
    village.service.attach_file(CHIEF, other, file_of("c.bin", b"c" * 900))


def test_gone_once_it_is_sent_or_the_hub_does_not_lack_it(village: Node, case: str, tmp_path: Path) -> None:
    files = [file_of(f"{number}.bin", bytes([number]) * 100) for number in range(3)]
    for file in files:
        village.service.attach_file(CHIEF, case, file)
    with village.store.write() as tx:
        unsent.told(tx)  # no word about the ops yet: the hub cannot know what it lacks
        assert unsent.total(tx) == (3, 300)
        unsent.sent(tx, {files[0].sha256})
        assert [one[0] for one in unsent.entries(tx)] == [files[1].sha256, files[2].sha256]

        tx.execute(update(outbox).values(state="accepted"))
        unsent.told(tx, {files[2].sha256})
        assert [one[0] for one in unsent.entries(tx)] == [files[2].sha256]
        tx.execute(update(outbox).values(state="refused"))
        assert unsent.total(tx) == (0, 0)
