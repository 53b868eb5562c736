"""Materials: every upload stays, with its provenance and trust grade; per material one is current.

For: which grade an upload has (claimed, then checked), and which upload of a material people should look at.
May not: drop an upload; let a worse grade replace a better one; hold bytes of files.
Spec: docs/conflict/fields.md, "Materials".  Grades: A original checked, B certified copy, C plain copy, D statement.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from conflict.history import History
from conflict.kinds import GRADES, OpKind, level_rank
from protocol.op import Op


class Upload(NamedTuple):
    """One upload. at: index of its attach op, or of the keep_duplicate op that carried it over; check: index or -1."""

    at: int
    facts: dict[str, Any]
    grade: str
    check: int
    current: bool
    rule: str


def materials_of(history: History, applied: list[int]) -> list[Upload]:
    """All uploads among the applied ops, in the order of the history.

    Rules: `only_upload`; `best_grade` (the current one has the best grade, a checked one before an unchecked);
    `latest_upload` (of equal grade, the one whose author had seen the other); `higher_office`, then smaller op id.
    """
    checks: dict[bytes, list[int]] = {}
    found: list[tuple[int, dict[str, Any], bytes]] = []
    for index in applied:
        op = history.ops[index]
        if op.kind == OpKind.CHECK_MATERIAL:
            checks.setdefault(op.body["of"], []).append(index)
        elif op.kind == OpKind.ATTACH:
            found.append((index, _facts(op, op.body), op.id))
        elif op.kind == OpKind.KEEP_DUPLICATE:
            found += [
                (index, _facts(op, item) | {"from_case": op.body["other"], "from_op": item["op"]}, item["op"])
                for item in op.body.get("materials", [])
            ]
    uploads: list[Upload] = []
    for index, facts, op_id in found:
        check = _standing_check(history, checks.get(op_id, []))
        grade = history.ops[check].body["grade"] if check >= 0 else facts["grade"]
        uploads.append(Upload(index, facts, grade, check, False, ""))
    return _with_current(history, uploads)


def _facts(op: Op, body: Any) -> dict[str, Any]:
    facts = {key: body[key] for key in ("material", "sha256", "size", "media", "name", "grade")}
    return facts | {"office": body.get("office", op.office) if op.kind == OpKind.KEEP_DUPLICATE else op.office}


def _standing_check(history: History, checks: list[int]) -> int:
    """The check that counts: of those nobody has repeated knowingly, the higher office's, then the stricter one."""
    seen = 0
    standing: list[int] = []
    for index in reversed(checks):
        if not seen >> index & 1:
            standing.append(index)
        seen |= history.before[index]
    if not standing:
        return -1

    def key(index: int) -> tuple[int, int, bytes]:
        op = history.ops[index]
        return -level_rank(op.office), -GRADES.index(op.body["grade"]), op.id

    return min(standing, key=key)


def _with_current(history: History, uploads: list[Upload]) -> list[Upload]:
    groups: dict[str, list[int]] = {}
    for position, upload in enumerate(uploads):
        groups.setdefault(upload.facts["material"], []).append(position)
    for group in groups.values():
        position, rule = _current(history, uploads, group)
        uploads[position] = uploads[position]._replace(current=True, rule=rule)
    return uploads


def _current(history: History, uploads: list[Upload], group: list[int]) -> tuple[int, str]:
    if len(group) == 1:
        return group[0], "only_upload"

    def trust(position: int) -> tuple[int, int]:
        upload = uploads[position]
        return GRADES.index(upload.grade), 0 if upload.check >= 0 else 1

    best = min(trust(position) for position in group)
    leading = [position for position in group if trust(position) == best]
    if len(leading) == 1:
        return leading[0], "best_grade"
    seen = 0
    latest: list[int] = []
    for position in reversed(leading):
        index = uploads[position].at
        if not seen >> index & 1:
            latest.append(position)
        seen |= history.before[index]
    if len(latest) == 1:
        return latest[0], "latest_upload" if len(leading) == len(group) else "best_grade"

    def key(position: int) -> tuple[int, bytes]:
        op = history.ops[uploads[position].at]
        return -level_rank(op.office), op.id

    return min(latest, key=key), "higher_office"
