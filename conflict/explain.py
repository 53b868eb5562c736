"""Explanations: one plain sentence, in Chinese and in English, for everything in a case that is not plain sailing.

For: every conflict, open or settled, and every op that was overtaken or refused or that waits; as text and as data.
May not: decide or look anything up; it words what the view says.
Spec: docs/conflict/explain.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from conflict.kinds import label
from conflict.matrix import RULES
from conflict.view import CaseView

VALUE_SHOWN_MAX = 60  # characters of a value that a sentence quotes


class Sentence(NamedTuple):
    """One statement in both languages."""

    zh: str
    en: str


Names = Callable[[str], str]

_RULES: Mapping[str, Sentence] = {rule.name: Sentence(rule.chinese, rule.english) for rule in RULES.values()} | {
    "nearest_office": Sentence(
        "联系方式以离申请人最近的单位为准", "contact data goes by the office nearest to the applicant"
    ),
    "higher_office": Sentence("以级别较高的单位为准", "the higher office's value counts"),
    "union": Sentence("各方内容全部保留", "everybody's content is kept"),
    "person_decides": Sentence("此类信息不能由规则合并，须由人员裁定", "no rule merges such data, a person decides"),
}
# What the open values of a class wait for.
_WHO = {
    "identity": Sentence("县管理员", "the county administrator"),
    "decision": Sentence("县管理员", "the county administrator"),
}
_ANYONE = Sentence("县管理员或承办单位", "the county administrator or the office that holds the case")
_RANKING = frozenset({"nearest_office", "higher_office"})
_REFUSALS_FIRST = {"refused": 0, "waiting": 1, "overtaken": 2}


def explain(view: CaseView, language: str = "zh", names: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Sentences about the case, open conflicts first.

    Args:    language: "zh" or "en", for `text`; both are always there as `zh` and `en`.
             names: office code -> name, where the caller has them; else the code is shown.
    Returns: per sentence `text`, `zh`, `en`, `about` ("conflict" or "op"), `open`, `rule` (rule or code), and for a
             conflict `id`, `kind`, `field`, `ops`; for an op `op`, `kind`, `verdict`, `by`. Op ids are hex: fit for JSON.
    """
    known = names or {}

    def name(office: str) -> str:
        return known.get(office, office)

    told: set[bytes] = set()
    found: list[dict[str, Any]] = []
    for conflict in view.conflicts:
        sentence = _conflict(conflict, name)
        ops = [value["op"] for value in conflict["values"]]
        if conflict["kind"] == "status":
            told.add(ops[1])
        found.append(
            {"text": sentence.en if language == "en" else sentence.zh, "zh": sentence.zh, "en": sentence.en}
            | {"about": "conflict", "open": conflict["open"], "rule": conflict["rule"], "id": conflict["id"]}
            | {"kind": conflict["kind"], "field": conflict["field"], "ops": [op_id.hex() for op_id in ops]}
        )
    entries = {entry["op"]: entry for entry in view.timeline}
    odd = [entry for entry in view.timeline if entry["verdict"] in _REFUSALS_FIRST and entry["op"] not in told]
    for entry in sorted(odd, key=lambda item: _REFUSALS_FIRST[item["verdict"]]):
        sentence = _op(entry, entries.get(entry["by"] or b""), name)
        found.append(
            {"text": sentence.en if language == "en" else sentence.zh, "zh": sentence.zh, "en": sentence.en}
            | {"about": "op", "open": entry["verdict"] == "waiting", "rule": entry["code"]}
            | {"op": entry["op"].hex(), "kind": entry["kind"], "verdict": entry["verdict"]}
            | {"by": None if entry["by"] is None else entry["by"].hex()}
        )
    return found


def _conflict(conflict: Mapping[str, Any], name: Names) -> Sentence:
    kind = conflict["kind"]
    if kind == "field":
        return _field(conflict, name)
    if kind == "status":
        return _acts(conflict, name)
    if kind == "decision":
        return _decision(conflict, name)
    if kind == "duplicate":
        return _duplicate(conflict, name)
    first = conflict["values"][0]
    return Sentence(
        f"{name(first['office'])}的一台设备用同一序号写了{len(conflict['values'])}条记录（可能被克隆或从备份恢复），均按互不知情处理",
        f"one device of {name(first['office'])} wrote {len(conflict['values'])} ops with one number (a clone, or "
        "restored from a backup); they are treated as concurrent",
    )


def _field(conflict: Mapping[str, Any], name: Names) -> Sentence:
    values = conflict["values"]
    rule = _RULES.get(conflict["rule"], Sentence("", ""))
    field = conflict["field"]
    said_zh = "，".join(f"{name(value['office'])}填写“{_short(value['value'])}”" for value in values)
    said_en = ", ".join(f"{name(value['office'])} wrote “{_short(value['value'])}”" for value in values)
    start_zh = f"“{label(field)}”被互不知情地填写为不同内容：{said_zh}；"
    start_en = f"“{label(field, 'en')}” was written differently by offices that did not know of each other: {said_en}; "
    settled = conflict["settled_by"]
    if settled is not None:
        return Sentence(
            f"{start_zh}{name(settled['office'])}看到各值之后重新作了填写或裁定，冲突已解决",
            f"{start_en}{name(settled['office'])} had seen them all and wrote or chose anew, which settled it",
        )
    if conflict["open"]:
        who = _WHO.get(conflict["class"], _ANYONE)
        tied = conflict["rule"] in _RANKING
        return Sentence(
            f"{start_zh}{rule.zh}{'，但同级单位无法据此判断' if tied else ''}，现等待{who.zh}裁定，各值均保留",
            f"{start_en}{rule.en}{', which does not tell equals apart' if tied else ''}; it waits for {who.en}, and all "
            "values are kept",
        )
    if conflict["rule"] == "union":
        return Sentence(f"{start_zh}{rule.zh}", f"{start_en}{rule.en}")
    shown = values[conflict["proposal"] or 0]
    return Sentence(
        f"{start_zh}{rule.zh}，采用“{_short(shown['value'])}”，其余保留备查",
        f"{start_en}{rule.en}: “{_short(shown['value'])}” counts, the rest is kept",
    )


def _acts(conflict: Mapping[str, Any], name: Names) -> Sentence:
    stands, lost = conflict["values"]
    rule = _RULES.get(conflict["rule"], Sentence("", ""))
    alike = stands["office"] == lost["office"]
    winner, loser = (
        f"{name(item['office'])}（{item['staff']}）" if alike else name(item["office"]) for item in (stands, lost)
    )
    winner_en, loser_en = (
        f"{name(item['office'])} ({item['staff']})" if alike else name(item["office"]) for item in (stands, lost)
    )
    act, other = stands["act"], lost["act"]
    return Sentence(
        f"{loser}作“{label(other)}”与{winner}作“{label(act)}”互不知情：{rule.zh}；"
        f"因此{winner}的“{label(act)}”有效，{loser}的“{label(other)}”不生效，保留备查",
        f"{label(other, 'en')} by {loser_en} and {label(act, 'en')} by {winner_en} did not know of each other: {rule.en}; "
        f"so the {label(act, 'en')} counts, and the {label(other, 'en')} by {loser_en} does not but is kept on record",
    )


def _decision(conflict: Mapping[str, Any], name: Names) -> Sentence:
    said_zh = "，".join(f"{name(value['office'])}决定“{label(value['value'])}”" for value in conflict["values"])
    said_en = ", ".join(
        f"{name(value['office'])} decided “{label(value['value'], 'en')}”" for value in conflict["values"]
    )
    if conflict["open"]:
        return Sentence(
            f"互不知情地作出了不同的决定：{said_zh}；级别相同，等待县管理员裁定，裁定之前不能办结",
            f"contradicting decisions were made unknowingly: {said_en}; the offices are equal, so the county "
            "administrator settles it, and the case is not concluded before",
        )
    by = conflict["settled_by"]
    who = name(by["office"]) if by else ""
    return Sentence(
        f"互不知情地作出了不同的决定：{said_zh}；已由{who}裁定",
        f"contradicting decisions were made unknowingly: {said_en}; settled by {who}",
    )


def _duplicate(conflict: Mapping[str, Any], name: Names) -> Sentence:
    said_zh = "，".join(f"{name(value['office'])}：{label(value['act'])}" for value in conflict["values"])
    said_en = ", ".join(f"{name(value['office'])}: {label(value['act'], 'en')}" for value in conflict["values"])
    return Sentence(
        f"对是否重复受理认定不一致（{said_zh}）；办件继续办理，等待县管理员重新认定",
        f"it was judged differently whether the case is a duplicate ({said_en}); the case goes on until the county "
        "administrator judges again",
    )


def _op(entry: Mapping[str, Any], by: Mapping[str, Any] | None, name: Names) -> Sentence:
    who, act_zh, act_en = name(entry["office"]), label(entry["kind"][:60]), label(entry["kind"][:60], "en")
    if entry["verdict"] != "overtaken":
        verb = Sentence("未被采纳", "was refused") if entry["verdict"] == "refused" else Sentence("尚在等待", "waits")
        return Sentence(
            f"{who}的“{act_zh}”{verb.zh}：{entry['reason_zh']}", f"{act_en} by {who} {verb.en}: {entry['reason']}"
        )
    rule = _RULES.get(entry["code"])
    if rule is not None and by is not None:
        return Sentence(
            f"{who}的“{act_zh}”不生效：{name(by['office'])}已作“{label(by['kind'])}”，{rule.zh}",
            f"{act_en} by {who} does not count: {label(by['kind'], 'en')} by {name(by['office'])}; {rule.en}",
        )
    cause = Sentence("情况已有变化", "things had moved on")
    if by is not None:
        cause = Sentence(
            f"{name(by['office'])}的“{label(by['kind'])}”已改变办件状态",
            f"{label(by['kind'], 'en')} by {name(by['office'])} had moved the case",
        )
    return Sentence(
        f"{who}的“{act_zh}”作出时并不知情：{cause.zh}，故不生效，保留备查",
        f"{act_en} by {who} was made without knowing that {cause.en}; it does not count and is kept on record",
    )


def _short(value: str) -> str:
    return value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"
