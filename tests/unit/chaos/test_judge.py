"""The judge sees each thing that may not happen, and nothing in a county where all is well."""

from __future__ import annotations

from dataclasses import replace

from ops.chaos.book import Book, upward
from ops.chaos.judge import compare_ops
from ops.demo.processes import Answer
from ops.simulate.raw import RawOp

VILLAGE, HALL, COUNTY = "420222107205", "420222107", "420222"


def raw(seq: int, kind: str = "accept", case: int | None = None) -> RawOp:
    op_id = bytes([seq]) * 32
    opener = bytes([case or seq]) * 32
    body = {"number": f"N{seq}"} if case is None else {}
    return RawOp(op_id, kind, opener, VILLAGE, b"d" * 32, seq, (), "chief", body, b"")


def book_of(*ops: RawOp) -> Book:
    book = Book()
    for op in ops:
        document = {"op": op.id.hex(), "case": op.case.hex(), "number": "N", "status": "accepted"}
        book.note(VILLAGE, op.kind, Answer(0, document, ""))
    return book


def everywhere(ops: list[RawOp]) -> dict[str, list[RawOp]]:
    return {office: list(ops) for office in upward(VILLAGE)}


OPS = [raw(1), raw(2, "note", case=1), raw(3)]


def test_all_is_well() -> None:
    found = compare_ops(book_of(*OPS), OPS, everywhere(OPS))
    assert (found.lost, found.doubled) == ([], [])


def test_what_is_not_at_the_hub_is_lost() -> None:
    found = compare_ops(book_of(*OPS), OPS[:2], everywhere(OPS))
    assert [line for line in found.lost if "hub" in line] == [f"{VILLAGE} accept {'03' * 8} is not at the hub"]


def test_what_is_not_at_an_office_above_the_opener_is_lost() -> None:
    offices = everywhere(OPS)
    offices[HALL] = OPS[1:]
    assert compare_ops(book_of(*OPS), OPS, offices).lost == [f"op {'01' * 8} is not at {HALL}"]


def test_an_op_stored_twice_a_sequence_number_or_a_case_number_given_twice_is_doubled() -> None:
    assert compare_ops(book_of(*OPS), [*OPS, OPS[0]], everywhere(OPS)).doubled
    fork = replace(raw(4), seq=3)
    assert any("sequence" in line for line in compare_ops(book_of(*OPS, fork), [*OPS, fork], everywhere(OPS)).doubled)
    same = replace(raw(5), body={"number": "N1"})
    assert compare_ops(book_of(*OPS, same), [*OPS, same], everywhere(OPS)).doubled == ["the number N1 was given twice"]


def test_an_op_of_an_office_that_no_command_called_saved_is_doubled_and_the_hubs_own_is_not() -> None:
    extra = raw(6)
    assert compare_ops(book_of(*OPS), [*OPS, extra], everywhere(OPS)).doubled == [
        f"{VILLAGE} accept {'06' * 8}: no command called it saved"
    ]
    assert compare_ops(book_of(*OPS), [*OPS, replace(extra, role="hub")], everywhere(OPS)).doubled == []


def test_the_book_keeps_refusals_apart_and_an_error_of_the_program_is_a_finding() -> None:
    book = Book()
    assert book.note(HALL, "take", Answer(1, {"error": {"code": "unknown_case"}}, "not here")) is None
    assert book.broken == []
    book.note(HALL, "take", Answer(1, {"error": {"code": "internal"}}, "NameError"))
    assert book.refused == {"unknown_case": 1, "internal": 1}
    assert book.broken == [f"{HALL} take: NameError"]
    assert upward(VILLAGE) == {VILLAGE, HALL, COUNTY}
