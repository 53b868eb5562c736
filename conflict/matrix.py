"""The matrix: what becomes of every pair of op kinds whose authors could not see each other.

For: one table that replay.py and fields.py run from and that docs/conflict/matrix.md is generated from.
May not: look at a case; know an order of arrival or a clock.
Spec: docs/conflict/matrix.md (generated: `to_markdown`).  A new op kind without its row fails the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from conflict.kinds import OpKind
from conflict.labels import label

# Authority of the stage: a stronger act is set down first, together with what its author had seen; a weaker act that
# did not know of it then counts only if it is still possible. Equal strength: the higher office, then the act
# further along (decide, conclude, deliver), then the smaller op id. The gaps leave room, the numbers mean nothing else.
STRENGTH: Mapping[OpKind, int] = {
    OpKind.DECIDE: 900,
    OpKind.CONCLUDE: 900,
    OpKind.DELIVER: 900,
    OpKind.WITHDRAW: 800,
    OpKind.LINK_DUPLICATE: 780,
    OpKind.VOID: 700,
    OpKind.ACCEPT: 650,
    OpKind.RECEIVE: 650,
    OpKind.TAKE: 600,
    OpKind.EXAMINE: 580,
    OpKind.START: 570,
    OpKind.RESUME: 560,
    OpKind.SUSPEND: 550,
    OpKind.REFUSE_ACCEPTANCE: 545,
    OpKind.RETURN: 540,
    OpKind.FORWARD: 500,
    OpKind.RECALL: 490,
    OpKind.EXTEND: 400,
    OpKind.SUPPLEMENT: 300,
    OpKind.NOTICE: 200,
    OpKind.ENTRUST: 100,
    OpKind.RESOLVE: 50,
    OpKind.REHOME: 20,
    OpKind.KEEP_DUPLICATE: 20,
    OpKind.DECLARE_DISTINCT: 20,
    OpKind.VETO: 10,
}
FURTHER: Mapping[OpKind, int] = {OpKind.DECIDE: 1, OpKind.CONCLUDE: 2, OpKind.DELIVER: 3}


class Rule(NamedTuple):
    """A named outcome. `how`: "wins" (one of two counts), "conflict" (a person settles), "merge" (both count)."""

    name: str
    how: str
    english: str
    chinese: str


COMMUTES = Rule("commutes", "merge", "both count, in any order", "两者都有效，先后无关")
NEVER = Rule(
    "never_concurrent", "merge", "opens the case, so nothing of the case is concurrent", "开立办件，不存在并发"
)

RULES: Mapping[str, Rule] = {
    "-": NEVER,
    ".": COMMUTES,
    "D": Rule(
        "decision_stands",
        "wins",
        "a decision, and what follows from it, stands; of two, that of the higher office",
        "决定及其后续环节有效；两个决定以上级机关的为准",
    ),
    "C": Rule(
        "decisions_differ",
        "conflict",
        "the higher office decides; of equal offices that decided differently, a person chooses",
        "以上级机关的决定为准；同级作出不同决定的，由人员裁定",
    ),
    "W": Rule(
        "withdrawal_ends",
        "wins",
        "the applicant's withdrawal ends a case that is not decided yet",
        "决定作出之前，申请人撤回即终止办理",
    ),
    "V": Rule("void_ends", "wins", "a voided case is not worked on further", "办件作废后不再继续办理"),
    "L": Rule(
        "duplicate_ends",
        "wins",
        "work on a duplicate ends; it goes on in the kept case",
        "重复件终止办理，由保留件继续办理",
    ),
    "Q": Rule(
        "duplicate_undecided",
        "conflict",
        "administrators judged a duplicate differently: the case goes on until a person settles it",
        "管理员对是否重复认定不一致，裁定之前办件继续办理",
    ),
    "A": Rule(
        "acceptance_stands",
        "wins",
        "an acceptance given to the applicant is not undone by an act that did not know of it",
        "已向申请人作出的受理，不因不知情的操作而撤销",
    ),
    "T": Rule(
        "taken_stays",
        "wins",
        "the office that took the case holds it; acts of the former holder that did not know come too late",
        "已接收的办件由接收单位承办，原承办单位不知情的操作不再生效",
    ),
    "R": Rule(
        "refusal_ends",
        "wins",
        "a refusal of acceptance ends the case; what came in meanwhile is kept for a new application",
        "不予受理即终止办理，其间送来的材料保留备查，可用于重新申请",
    ),
    "K": Rule(
        "work_stands",
        "wins",
        "work that has begun stands; the case is not sent back unknowingly",
        "已开始的承办有效，不因不知情的退回而中断",
    ),
    "P": Rule("suspension_first", "wins", "a special procedure keeps the case where it is", "特别程序期间办件不移交"),
    "B": Rule(
        "return_stands", "wins", "a return to the sender stands over sending the case elsewhere", "退回优先于其他移交"
    ),
    "H": Rule(
        "one_target",
        "wins",
        "one hand-over at a time: the one that was taken; else the first by the order of the fold",
        "同一时间只有一个转报有效：以已被接收的为准，否则按固定顺序取其一",
    ),
    "S": Rule("same_act", "wins", "the same act twice counts once", "同一操作重复进行，只计一次"),
    "U": Rule("revocation_wins", "merge", "the end of an entrustment outweighs its grant", "终止委托优先于授予委托"),
    "F": Rule(
        "by_field_class",
        "conflict",
        "different fields merge; the same field goes by the rule of its class, or to a person",
        "不同字段合并；同一字段按字段类别规则处理，或由人员裁定",
    ),
    "N": Rule(
        "settled_differently",
        "conflict",
        "two settlements of one conflict that differ are a conflict again",
        "两名管理员对同一冲突裁定不一致，仍为冲突",
    ),
    "M": Rule(
        "best_grade",
        "merge",
        "all uploads are kept; the best grade is current, never a worse one",
        "上传材料全部保留，以可信等级最高者为准",
    ),
    "G": Rule(
        "check_by_level",
        "merge",
        "checks of one upload: the higher office's, of equals the stricter grade",
        "同一材料的核验以上级单位为准，同级以较严者为准",
    ),
    "X": Rule(
        "hub_veto",
        "wins",
        "an op that the county hub vetoes is void for everybody, whatever the order",
        "被县中心否决的操作一律无效",
    ),
}

# Lower triangle; the columns are the rows' kinds in the same order. Letters: RULES.
GRID = """
receive           -
accept            - S
amend             - . F
attach            - . . M
check_material    - . . . G
note              - . . . . .
notice            - . . . . . S
supplement        - . F . . . . F
refuse_acceptance - A . . . . R R S
forward           - . . . . . . . R H
recall            - . . . . . . . R . S
take              - . . . . . . . T T T S
return            - A . . . . . . R B B T S
start             - . . . . . . . . . . T K S
examine           - . . . . . . . . . . T K . .
decide            - D . . . . D D D D D D D D D C
extend            - . . . . . . . . . . . . . . . S
suspend           - . . . . . . . . P P T P . . D . .
resume            - . . . . . . . . . . . . . . D . . S
conclude          - D . . . . D D D D D D D D D D . D D S
deliver           - D . . . . D D D D D D D D D D . D D D S
withdraw          - W . . . . W W W W W W W W W D W W W D D S
void              - V . . . . V V V V V V V V V D V V V D D W S
resolve           - . F . . . . F . . . . . . . . . . . . . . . N
keep_duplicate    - . . . . . . . . . . . . . . . . . . . . . . . .
link_duplicate    - L . . . . L L L L L L L L L D L L L D D W L . Q S
declare_distinct  - . . . . . . . . . . . . . . . . . . . . . . . Q Q .
entrust           - . . . . . . . . . . . . . . . . . . . . . . . . . . U
rehome            - . . . . . . . . . . . . . . . . . . . . . . . . . . . S
veto              - X X X X X X X X X X X X X X X X X X X X X X X X X X X X X
time_bound        - . . . . . . . . . . . . . . . . . . . . . . . . . . . . X .
"""

_LETTERS_THAT_DECIDE = frozenset("DWVLATRKPB")  # the stronger act alone overtakes the weaker, possible or not


def parse_grid(text: str) -> dict[tuple[str, str], str]:
    """The letter of every ordered pair of kinds. Raises ValueError if a row is missing or of a wrong length."""
    cells: dict[tuple[str, str], str] = {}
    names: list[str] = []
    for line in text.strip().splitlines():
        name, *letters = line.split()
        names.append(name)
        if len(letters) != len(names):
            raise ValueError(f"row {name} has {len(letters)} cells where {len(names)} are due")
        for other, letter in zip(names, letters, strict=True):
            if letter not in RULES:
                raise ValueError(f"row {name} has the unknown letter {letter}")
            cells[name, other] = cells[other, name] = letter
    if names != [kind.value for kind in OpKind]:
        raise ValueError("the rows are the op kinds in the order of OpKind")
    return cells


CELLS: Mapping[tuple[str, str], str] = parse_grid(GRID)


def rule_for(one: str, other: str) -> Rule:
    """The named outcome for two concurrent ops of these kinds."""
    return RULES[CELLS[one, other]]


def stronger_kinds(kind: OpKind) -> tuple[OpKind, ...]:
    """Kinds that overtake a concurrent op of `kind` outright, strongest first."""
    mine = STRENGTH.get(kind, 0)
    found = [
        other for other, strength in STRENGTH.items() if strength >= mine and CELLS[kind, other] in _LETTERS_THAT_DECIDE
    ]
    return tuple(sorted(found, key=lambda other: -STRENGTH[other]))


OVERTAKEN_BY: Mapping[OpKind, tuple[OpKind, ...]] = {kind: stronger_kinds(kind) for kind in OpKind}


def to_markdown() -> str:
    """The text of docs/conflict/matrix.md."""
    kinds = list(OpKind)
    lines = [
        "# The matrix of concurrent acts",
        "",
        "Generated from `conflict/matrix.py` (`to_markdown`); a test compares the two. Two ops are concurrent if neither",
        "author had seen the other's. Where one act wins, it is the one of greater strength (last table), never the one with",
        "the later time. The act that does not count stays in the case, readable, with the rule that decided.",
        "",
        "## Rules",
        "",
        "| letter | rule | outcome | 结果 |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {letter} | `{rule.name}` ({rule.how}) | {rule.english} | {rule.chinese} |" for letter, rule in RULES.items()
    ]
    lines += [
        "",
        "## Every pair",
        "",
        "| | " + " | ".join(f"`{kind.value}`" for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for row, kind in enumerate(kinds):
        cells = [CELLS[kind, other] for other in kinds[: row + 1]]
        lines.append(f"| `{kind.value}` {label(kind)} | " + " | ".join(cells + [""] * (len(kinds) - row - 1)) + " |")
    lines += ["", "## Strength", "", "| strength | acts |", "|---|---|"]
    for strength in sorted(set(STRENGTH.values()), reverse=True):
        acts = ", ".join(f"`{kind.value}`" for kind, value in STRENGTH.items() if value == strength)
        lines.append(f"| {strength} | {acts} |")
    return "\n".join(lines) + "\n"
