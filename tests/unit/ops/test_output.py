"""ops/output.py: one JSON document, one sentence per error, exit codes, no row of the store in an error."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import OperationalError

from ops import output
from protocol.errors import RefusedError


def test_plain_turns_everything_into_json() -> None:
    value = {b"\x01": (b"\xff", {b"\x02"}), "村": [None, True, 3]}
    assert output.plain(value) == {"01": ["ff", ["02"]], "村": [None, True, 3]}


def test_show_gives_one_document_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.show({"case": b"\x0a", "名": "王"}, as_json=True, text="not this")
    assert json.loads(capsys.readouterr().out) == {"case": "0a", "名": "王"}
    output.show({}, as_json=False, text=lambda: "已保存")
    assert capsys.readouterr().out == "已保存\n"


@pytest.mark.parametrize(("locale", "words"), [("C", "Not here."), ("zh_CN.UTF-8", "此处不可。")])
def test_an_error_is_one_sentence_and_an_object(
    locale: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    code = output.say_error(RefusedError("Not\nhere.", "此处不可。", holder="420222"), as_json=True)
    said = capsys.readouterr()
    assert code == 1
    assert said.err == f"liandong: {words}\n"
    error = json.loads(said.out)["error"]
    assert error == {"code": "not_allowed", "message": words, "facts": {"holder": "420222"}}


def test_an_error_of_the_database_shows_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    error = OperationalError("insert into t values (?)", ("420222199001011234",), Exception("disk is full"))
    assert output.say_unexpected(error, as_json=False) == 1
    said = capsys.readouterr().err
    assert "disk is full" in said
    assert "420222199001011234" not in said


def test_table_for_scripts_has_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.table(["a", "b"], [[1, None], ["村", 2]]) == "a\tb\n1\t-\n村\t2"
