"""Looking cases up on any node: an office's device through its service, the hub through its ledger.

For: `case list|show|digest|explain` with `--dir X`.
May not: change anything; show more than the node holds.
Manual: docs/operating/commands.md, "case".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.clock import local_text
from ops.nodes import find_node

if TYPE_CHECKING:
    from conflict.view import CaseView
    from edge.clock import Clock


def list_cases(directory: Path, clock: Clock, staff: str | None, *, limit: int, **wanted: Any) -> list[dict[str, Any]]:
    """The cases of a node that fit `wanted` (status, holder, item, kind, urgent, conflicted), newest change first."""
    if find_node(directory).kind == "edge":
        from edge.main import open_node

        with open_node(directory, clock) as node:
            _known(node, staff)
            return node.service.list_cases(limit=limit, **wanted)
    from conflict.ledger.views import list_views
    from edge.listing import line_of

    with find_node(directory).open_store() as store, store.read() as tx:
        return [line_of(row, 0) for row in list_views(tx, limit=limit, **wanted)]


def show_case(directory: Path, clock: Clock, staff: str | None, case: str) -> dict[str, Any]:
    """One case whole, with due dates by the published calendar. Raises UnknownCase, AmbiguousCase."""
    if find_node(directory).kind == "edge":
        from edge.main import open_node

        with open_node(directory, clock) as node:
            _known(node, staff)
            return node.service.show(case)
    from conflict.deadline import due
    from conflict.ledger.files import has_file
    from conflict.ledger.views import find, view
    from hub.init import open_county

    county = open_county(directory)
    try:
        with county.store.read() as tx:
            found = view(tx, find(tx, case))
            missing = [one["sha256"].hex() for one in found.materials if not has_file(tx, one["sha256"])]
        deadlines = due(found.clock, county.shelf.calendar, now_ms=clock.now_ms()).as_json()
    finally:
        county.store.close()
    return {**found.as_json(), "due": deadlines["due"], "deadlines": deadlines, "missing_files": missing}


def digests_of(directory: Path, case: str | None) -> dict[str, str]:
    """Case id to digest, both hex: of one case, or of all that the node holds."""
    from conflict.ledger.views import digests, find

    with find_node(directory).open_store() as store, store.read() as tx:
        found = digests(tx, None if case is None else [find(tx, case)])
    return {case_id.hex(): digest.hex() for case_id, digest in found.items()}


def explanation(directory: Path, case: str, *, language: str) -> list[dict[str, Any]]:
    """Sentences about what happened to a case and why. Raises UnknownCase, AmbiguousCase."""
    from conflict.explain import explain

    return list(explain(_view(directory, case), language))


def _view(directory: Path, case: str) -> CaseView:
    from conflict.ledger.views import find, view

    with find_node(directory).open_store() as store, store.read() as tx:
        return view(tx, find(tx, case))


def _known(node: Any, staff: str | None) -> None:
    """Where somebody says who they are, they must be; looking up needs no account."""
    if staff is not None:
        from ops.cli.office import password_of

        node.staff.check(staff, password_of(node.staff, staff))


def as_text(found: dict[str, Any], chinese: bool) -> str:
    """A case as lines for a person."""
    from conflict.labels import label

    def say(english: str, text_zh: str) -> str:
        return text_zh if chinese else english

    def word(name: str) -> str:
        return label(name, "zh" if chinese else "en")

    urgent = say("  urgent", "  特急") if found.get("urgent") else ""
    lines = [
        f"{found['number']}  {word(found['status'])}  {found['item']}{urgent}",
        say(f"holder {found['holder']}  due {found['due']}", f"办理机构 {found['holder']}  期限 {found['due'] or '-'}"),
    ]
    if found.get("handover"):
        lines.append(say("on its way to", "正在转往") + f" {found['handover']['to']}")
    lines += [f"  {word(name)}: {field['value']}  ({field['office']})" for name, field in found["fields"].items()]
    lines += [
        f"  [{one['material']}] {one['name']} "
        + say(f"{one['size']} bytes, grade {one['grade']}", f"{one['size']} 字节，等级 {one['grade']}")
        for one in found["materials"]
    ]
    lines += [f"  {say('missing here', '本机缺少附件')}: {sha256}" for sha256 in found.get("missing_files", [])]
    lines += [
        f"  {say('not sent to the county yet', '附件尚未上传')}: {sha256}" for sha256 in found.get("unsent_files", [])
    ]
    lines += [
        f"  ! {say(one['kind'], '冲突')} {word(one.get('field') or '')} {one['id']}"
        for one in found["conflicts"]
        if one["open"]
    ]
    lines += [_timeline_line(one, word, chinese) for one in found["timeline"]]
    return "\n".join(lines)


VERDICTS_ZH = {"applied": "", "overtaken": "已被取代", "refused": "未被采纳", "waiting": "尚在等待"}


def _timeline_line(one: dict[str, Any], word: Callable[[str], str], chinese: bool) -> str:
    """One act: when, who, what, and what became of it."""
    verdict = VERDICTS_ZH[one["verdict"]] if chinese else one["verdict"]
    return f"  {local_text(one['at_ms'])} {one['office']} {one['staff']} {word(one['kind'])} {verdict}".rstrip()
