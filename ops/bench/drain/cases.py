"""What an office did while the line was down: histories of cases as its level handles them.

For: a given number of signed ops of one device, all of which the fold accepts, the first case urgent if asked for.
May not: depend on what other offices did meanwhile: each office works on cases that it accepted itself.
Manual: docs/performance.md, "After an outage".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conflict.kinds import level_rank
from ops.bench.material import Author
from protocol.op import Op

Step = tuple[str, dict[str, Any]]
PHONE: Step = ("amend", {"fields": {"applicant_phone": "13900000000"}})
CALLED: Step = ("note", {"text": "已电话告知申请人。"})
AGREED: Step = ("examine", {"outcome": "agree", "opinion": "材料齐全，情况属实，同意。", "step": "handle"})


def history(author: Author, count: int, *, above: str, terms: Mapping[str, Any], urgent: bool) -> list[Op]:
    """`count` ops of one device, case after case.

    Args:    above: the office that cases are forwarded to. urgent: the first case is urgent, and so the office too.
    """
    ops: list[Op] = []
    steps = _steps(author.keys.office, above)
    while len(ops) < count:
        opener = author.accept(terms, urgent=urgent and not ops)
        ops.append(opener)
        for kind, body in steps[: count - len(ops)]:
            ops.append(author.say(kind, body, case=opener.id, parents=(ops[-1].id,)))
    return ops


def _steps(office: str, above: str) -> list[Step]:
    """What follows on an acceptance: a village forwards, a township examines and forwards, the county decides."""
    rank = level_rank(office)
    if rank == 1:
        return [PHONE, CALLED, ("forward", {"to": above, "opinion": "请审核。"})]
    if rank == 2:
        return [PHONE, AGREED, CALLED, ("forward", {"to": above, "opinion": "初审同意，请审批。"})]
    decided = ("decide", {"decision": "granted", "opinion": "符合条件，准予。"})
    return [("start", {}), AGREED, decided, ("conclude", {"type": "normal", "text": "已办结。"})]


def places(offices: Mapping[str, str], county: str, count: int) -> Iterator[str]:
    """The offices of `count` machines: the county centre, then township by township with its villages; when all have
    one, the township halls get another each.

    Args:    offices: code -> level, of the county and below.
    """
    halls = sorted(code for code, level in offices.items() if level == "township")
    tree = [county]
    for hall in halls:
        tree += [hall, *sorted(code for code, level in offices.items() if level == "village" and code.startswith(hall))]
    for at in range(count):
        yield tree[at] if at < len(tree) else halls[(at - len(tree)) % len(halls)]
