"""Powers: which office and role may author which op, and at which status, as data.

For: one check that the fold makes for every op at its causal point and that an edge makes before it signs one.
May not: look at concurrent ops (replay.py), know staff names or keys; ask a roster (levels come from codes).
Spec: docs/conflict/powers.md.  The tables: POWERS here, MOVES in status.py, BODY in kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from conflict import errors
from conflict.kinds import (
    DEFAULT_CLASSES,
    CaseKind,
    FieldClass,
    Level,
    OpKind,
    Role,
    Status,
    check_body,
    label,
    level_rank,
    rank_of_level,
)
from conflict.state import State, is_above, stage_key
from conflict.status import MOVES, STOPPED_BY_HANDOVER
from protocol.errors import RefusedError


class Frame(NamedTuple):
    """What never changes in a case: taken from the op that opened it."""

    kind: CaseKind
    county: str
    approve_level: str
    classes: Mapping[str, str]

    @staticmethod
    def of(opener_office: str, terms: Mapping[str, Any]) -> Frame:
        """Total: terms of a wrong form give a committed case that anybody's level may decide."""
        kind = terms.get("kind")
        classes = terms.get("classes")
        level = terms.get("approve_level")
        return Frame(
            kind=CaseKind(kind) if type(kind) is str and kind in _CASE_KINDS else CaseKind.COMMITTED,
            county=opener_office[:6],
            approve_level=level if type(level) is str else "",
            classes=classes if isinstance(classes, dict) else {},
        )

    def class_of(self, field: str) -> FieldClass:
        """The class of a field: as the item says, else the default of its reserved name, else `other`."""
        named = self.classes.get(field)
        if type(named) is str and named in _CLASSES:
            return FieldClass(named)
        return DEFAULT_CLASSES.get(field, FieldClass.OTHER)


class Contested(NamedTuple):
    """An open or settled conflict as a resolve op meets it: its class, and how many values it offers."""

    kind: str  # "field", "decision" or "duplicate"
    field_class: FieldClass
    values: int


class Sight(Protocol):
    """A case as somebody sees it: at the causal point of an op, or on a screen."""

    @property
    def state(self) -> State: ...
    @property
    def frame(self) -> Frame: ...
    def contested(self, conflict_id: str) -> Contested | None: ...
    def hinders_conclusion(self) -> str | None: ...
    def knows(self, op_id: bytes, kind: OpKind) -> bool: ...


class Act(NamedTuple):
    """What somebody wants to do: an op, or a draft of one."""

    kind: str
    office: str
    role: str
    body: Mapping[str, Any]


class Grant(NamedTuple):
    """Offices in `relation` to the case may author the op through people with one of `roles`."""

    relation: str
    roles: frozenset[str]


_CASE_KINDS = frozenset(kind.value for kind in CaseKind)
_CLASSES = frozenset(kind.value for kind in FieldClass)

_STAFF = frozenset({Role.AGENT.value, Role.EXAMINER.value, Role.VERIFIER.value, Role.CHIEF.value})
_EXAMINERS = frozenset({Role.EXAMINER.value, Role.VERIFIER.value, Role.CHIEF.value})
_DECIDERS = frozenset({Role.VERIFIER.value, Role.CHIEF.value})
_ADMIN = frozenset({Role.ADMINISTRATOR.value, Role.CHIEF.value})
_ALL = _STAFF | _ADMIN
_HUB = frozenset({Role.HUB.value})


def _grants(*pairs: tuple[str, frozenset[str]]) -> tuple[Grant, ...]:
    return tuple(Grant(relation, roles) for relation, roles in pairs)


# Relations: holder, member (opened the case or took it once), target and sender (of the pending hand-over),
# superior (of the opener or the holder), county (the case's county centre), hub (the county's machine).
POWERS: Mapping[OpKind, tuple[Grant, ...]] = {
    OpKind.RECEIVE: (),  # opening only: see `may_open`
    OpKind.ACCEPT: _grants(("holder", _STAFF)),
    OpKind.AMEND: _grants(("holder", _STAFF), ("member", _STAFF)),
    OpKind.ATTACH: _grants(("holder", _STAFF), ("member", _STAFF), ("superior", _STAFF), ("county", _STAFF)),
    OpKind.CHECK_MATERIAL: _grants(("holder", _STAFF), ("member", _STAFF), ("superior", _STAFF), ("county", _STAFF)),
    OpKind.NOTE: _grants(
        ("holder", _ALL), ("member", _ALL), ("target", _ALL), ("superior", _ALL), ("county", _ALL), ("hub", _HUB)
    ),
    OpKind.NOTICE: _grants(("holder", _STAFF)),
    OpKind.SUPPLEMENT: _grants(("holder", _STAFF), ("member", _STAFF)),
    OpKind.REFUSE_ACCEPTANCE: _grants(("holder", _EXAMINERS)),
    OpKind.FORWARD: _grants(("holder", _STAFF)),
    OpKind.RECALL: _grants(("sender", _STAFF)),
    OpKind.TAKE: _grants(("target", _STAFF)),
    OpKind.RETURN: _grants(("target", _STAFF), ("holder", _STAFF)),
    OpKind.START: _grants(("holder", _STAFF)),
    OpKind.EXAMINE: _grants(("holder", _EXAMINERS)),
    OpKind.DECIDE: _grants(("holder", _DECIDERS)),
    OpKind.EXTEND: _grants(("holder", _DECIDERS)),
    OpKind.SUSPEND: _grants(("holder", _EXAMINERS)),
    OpKind.RESUME: _grants(("holder", _EXAMINERS)),
    OpKind.CONCLUDE: _grants(("holder", _STAFF), ("member", _STAFF)),
    OpKind.DELIVER: _grants(("holder", _STAFF), ("member", _STAFF)),
    OpKind.WITHDRAW: _grants(("holder", _STAFF), ("member", _STAFF)),
    OpKind.VOID: _grants(("holder", _STAFF), ("county", _ADMIN)),
    OpKind.RESOLVE: _grants(("county", _ADMIN), ("holder", _STAFF)),  # the holder not for every class: RESERVED
    OpKind.KEEP_DUPLICATE: _grants(("county", _ADMIN), ("hub", _HUB)),
    OpKind.LINK_DUPLICATE: _grants(("county", _ADMIN), ("hub", _HUB)),
    OpKind.DECLARE_DISTINCT: _grants(("county", _ADMIN), ("hub", _HUB)),
    OpKind.ENTRUST: _grants(("county", _ADMIN), ("hub", _HUB)),
    OpKind.REHOME: _grants(("hub", _HUB)),
    OpKind.VETO: _grants(("hub", _HUB)),
    OpKind.TIME_BOUND: _grants(("hub", _HUB)),
}

# Kinds of case that one person at a counter decides: every member of the staff may.
DECIDED_AT_COUNTER = frozenset({CaseKind.IMMEDIATE, CaseKind.REPLY})
# Conflicts that only the county's administrator settles, never the holder.
RESERVED_CLASSES = frozenset({FieldClass.IDENTITY, FieldClass.DECISION})
# From the decision on, only these may still be amended (the result has to reach the applicant).
AMENDABLE_LATE = frozenset({FieldClass.CONTACT})
# Written by the holder alone: after forwarding, by the superior that took the case.
HOLDER_CLASSES = frozenset({FieldClass.OPINION, FieldClass.DECISION, FieldClass.FEE})
# Said by the hub about an op, whatever the case's status.
WORDS_OF_THE_HUB = frozenset({OpKind.VETO, OpKind.TIME_BOUND})
# Kinds that the hub may write on behalf of a superior outside the county (`for_office`).
ON_BEHALF = frozenset({OpKind.TAKE, OpKind.RETURN, OpKind.DECIDE})


def may_open(kind: str, office: str, role: str, body: Mapping[str, Any]) -> None:
    """Check an opening op (receive or accept).

    Raises:  BadBody, UnknownKind, WrongLevel (the item is not accepted at this level), RoleNotAllowed.
    """
    check_body(kind, body, opens=True)
    if kind not in (OpKind.RECEIVE, OpKind.ACCEPT):
        raise errors.NothingToAnswer("only receipt or acceptance opens a case", "只有收件或受理才能开立办件")
    rank = level_rank(office)
    terms = body["terms"]
    lowest = rank_of_level(terms.get("accept_level") or "")
    if not 1 <= rank <= rank_of_level(Level.COUNTY) or rank < lowest:
        level = terms.get("accept_level") or Level.VILLAGE.value
        raise errors.WrongLevel(
            f"this item is not accepted here; send the applicant to an office of {label(level, 'en')} level or above",
            f"本事项不在本级受理，请引导申请人到{label(level)}及以上窗口办理",
            level=level,
        )
    _hold_role(role, _STAFF, kind)


def allowed(
    view: Sight, kind: str, office: str, role: str, body: Mapping[str, Any], for_office: str | None = None
) -> None:
    """Whether an op that `office` would write now, having seen what `view` shows, would be allowed.

    The same check as the fold makes, so an edge refuses early and in clear words.
    Raises:  a RefusedError (see `check`).
    """
    check(view, Act(kind, office, role, body), for_office)


def check(sight: Sight, act: Act, for_office: str | None = None) -> None:
    """The check of an op on an open case, where its author stands (`sight`).

    Raises:  a RefusedError whose code says what is in the way; see conflict/errors.py. None means allowed.
    Source:  docs/conflict/powers.md.
    """
    check_body(act.kind, act.body)
    kind = OpKind(act.kind)
    if kind in WORDS_OF_THE_HUB:
        if act.role != Role.HUB or act.office != sight.frame.county:
            raise _no_relation(State(), kind, POWERS[kind])
        return
    state = sight.state
    if state.status is Status.DRAFT or kind is OpKind.RECEIVE:
        raise errors.TransitionNotAllowed(
            "the case has been opened already, or is not here", "办件已开立或尚未到达本机"
        )
    if for_office is None and kind in ON_BEHALF and act.body.get("for_office") is not None:
        for_office = act.body["for_office"]
    if for_office is not None:
        _hold_on_behalf(sight.frame, act, kind, for_office)
    acting = for_office or act.office
    _hold_relation(sight, act, kind, acting, spoken_for=for_office is not None)
    if state.handover is not None and kind in STOPPED_BY_HANDOVER and acting == state.handover.sender:
        raise errors.HandoverPending(
            f"the case is on its way to {state.handover.target}; wait until it is taken, or recall it first",
            f"办件正转报至{state.handover.target}，请等待对方接收，或先撤回转报",
        )
    _hold_status(state, kind)
    rule = _SPECIFIC.get(kind)
    if rule is not None:
        rule(sight, act, acting)


def _hold_on_behalf(frame: Frame, act: Act, kind: OpKind, for_office: str) -> None:
    outside = level_rank(for_office) > rank_of_level(Level.COUNTY) and frame.county.startswith(for_office)
    if act.role != Role.HUB or act.office != frame.county or kind not in ON_BEHALF or not outside:
        raise errors.NoPower(
            f"nobody here may write for {for_office}; only the county hub does so, for the county's own superiors",
            f"不能代{for_office}操作；只有县中心可代本县的上级机关登记接收、退回和决定",
        )


def _hold_relation(sight: Sight, act: Act, kind: OpKind, acting: str, *, spoken_for: bool) -> None:
    """The office stands in a relation that POWERS names for this kind, and the person's role is granted with it."""
    state, frame = sight.state, sight.frame
    grants = POWERS[kind]
    related = [grant for grant in grants if _RELATIONS[grant.relation](state, frame, acting, act.role)]
    if not related and kind is OpKind.DECIDE and _decides_while_pending(state, kind, acting):
        related = [grant for grant in grants if grant.relation == "holder"]
    if not related:
        raise _no_relation(state, kind, grants)
    if spoken_for:
        return
    roles = frozenset[str]().union(*(grant.roles for grant in related))
    if kind is OpKind.DECIDE and frame.kind in DECIDED_AT_COUNTER:
        roles |= _STAFF
    _hold_role(act.role, roles, kind)


def _no_relation(state: State, kind: OpKind, grants: tuple[Grant, ...]) -> RefusedError:
    relations = {grant.relation for grant in grants}
    if "member" in relations or not relations & {"holder", "target", "sender"}:
        return errors.NoPower(
            f"your office has no part in this case or may not do this ({label(kind, 'en')}); ask the county centre",
            f"本单位未参与该办件，或无权进行“{label(kind)}”，请联系县中心",
        )
    if "holder" not in relations and state.handover is None:
        return errors.TransitionNotAllowed(
            f"{label(kind, 'en')} is not possible: the case is not on its way to another office",
            f"不能{label(kind)}：办件当前没有待接收的转报",
        )
    if "target" in relations and state.handover is not None:
        return errors.HeldByAnother(
            f"the case was forwarded to {state.handover.target}; only that office can do this",
            f"办件已转报至{state.handover.target}，只有该单位可以{label(kind)}",
            holder=state.holder,
        )
    return errors.HeldByAnother(
        f"the case is held by {state.holder}; only the holder can do this ({label(kind, 'en')})",
        f"办件现由{state.holder}承办，只有承办单位可以{label(kind)}",
        holder=state.holder,
    )


def _hold_role(role: str, roles: frozenset[str], kind: str) -> None:
    if role not in roles:
        named = sorted(roles)
        raise errors.RoleNotAllowed(
            f"the role {label(role[:20], 'en')} may not do this ({label(kind, 'en')}); "
            f"it takes: {', '.join(label(item, 'en') for item in named)}",
            f"“{label(role[:20])}”无权进行“{label(kind)}”，需要：{'、'.join(label(item) for item in named)}",
        )


def _hold_status(state: State, kind: OpKind) -> None:
    if state.status not in MOVES[kind]:
        where = sorted(MOVES[kind], key=list(Status).index)
        raise errors.TransitionNotAllowed(
            f"{label(kind, 'en')} is not possible while the case is {label(state.status, 'en')}; "
            f"possible when: {', '.join(label(item, 'en') for item in where)}",
            f"办件处于“{label(state.status)}”状态，不能{label(kind)}；"
            f"可在以下状态进行：{'、'.join(label(item) for item in where)}",
            status=state.status.value,
        )


def _decides_while_pending(state: State, kind: OpKind, acting: str) -> bool:
    """The superior's answer to a bundle may arrive without its receipt: deciding implies taking."""
    above_county = level_rank(acting) > rank_of_level(Level.COUNTY)
    return kind is OpKind.DECIDE and above_county and state.handover is not None and state.handover.target == acting


_RELATIONS: Mapping[str, Callable[[State, Frame, str, str], bool]] = {
    "holder": lambda state, frame, office, role: office == state.holder,
    "member": lambda state, frame, office, role: office in state.members,
    "target": lambda state, frame, office, role: state.handover is not None and office == state.handover.target,
    "sender": lambda state, frame, office, role: state.handover is not None and office == state.handover.sender,
    "superior": lambda state, frame, office, role: (
        is_above(state, office, state.opener) or is_above(state, office, state.holder)
    ),
    "county": lambda state, frame, office, role: office == frame.county and role != Role.HUB,
    "hub": lambda state, frame, office, role: office == frame.county and role == Role.HUB,
}


# --- what single kinds require besides ----------------------------------------------------------------------------


def _amend(sight: Sight, act: Act, acting: str) -> None:
    state = sight.state
    for field in act.body["fields"]:
        kind = sight.frame.class_of(field)
        if state.status in (Status.DECIDED, Status.CONCLUDED) and kind not in AMENDABLE_LATE:
            raise errors.TransitionNotAllowed(
                f"after the decision only contact data can be amended, not “{label(field, 'en')}”",
                f"作出决定后只能更正联系方式，不能更正“{label(field)}”",
            )
        if kind in HOLDER_CLASSES and (acting != state.holder or state.handover is not None):
            raise errors.HeldByAnother(
                f"“{label(field, 'en')}” is written by the office that holds the case ({state.holder})",
                f"“{label(field)}”只能由承办单位{state.holder}填写",
                holder=state.holder,
            )


def _supplement(sight: Sight, act: Act, acting: str) -> None:
    if act.body["of"] not in sight.state.notices:
        raise errors.NothingToAnswer(
            "this one-time notice is not open; it was answered already or was never given",
            "该一次性告知不存在或已补正，无需再次补正",
        )
    fields = act.body.get("fields")
    if fields:
        _amend(sight, act, acting)


def _notice(sight: Sight, act: Act, acting: str) -> None:
    if stage_key(act.office, sight.state.status) in sight.state.noticed:
        raise errors.NoticeAlreadyGiven(
            "the one-time notice was given already at this stage; what is missing is said once",
            "本阶段已一次性告知，不得再次告知补正",
        )


def _check_material(sight: Sight, act: Act, acting: str) -> None:
    if not sight.knows(act.body["of"], OpKind.ATTACH):
        raise errors.NothingToAnswer("the material to be checked is not in this case", "要核验的材料不在本办件中")


def _forward(sight: Sight, act: Act, acting: str) -> None:
    state, to = sight.state, act.body["to"]
    related = is_above(state, to, acting) or is_above(state, acting, to) or is_above(state, to, state.opener)
    if to == acting or not related:
        raise errors.BadTarget(
            f"the case cannot be forwarded to {to}; choose an office above or below in your own line",
            f"不能转报至{to}，请选择本系列的上级或下级单位",
        )
    upward = level_rank(to) > level_rank(acting)
    beyond = level_rank(to) > rank_of_level(Level.COUNTY)
    opinion_due = level_rank(acting) >= rank_of_level(Level.TOWNSHIP) and state.status is not Status.RECEIVED
    if upward and (opinion_due or beyond) and acting not in state.examined:
        raise errors.OpinionMissing(
            "a case goes up only with your office's preliminary opinion; record the examination first",
            "转报须附本级初审意见，请先填写审核意见",
        )


def _answers_handover(sight: Sight, act: Act, acting: str) -> None:
    state, of = sight.state, act.body["of"]
    pending = state.handover is not None and state.handover.op == of
    held = act.kind == OpKind.RETURN and state.handover is None and state.tenure is not None and state.tenure.op == of
    if not pending and not held:
        raise errors.NothingToAnswer("this forwarding is not the one that is open now", "该转报不是当前待处理的转报")
    if pending and act.kind == OpKind.RETURN and state.handover is not None and acting != state.handover.target:
        raise errors.HeldByAnother(
            f"only {state.handover.target} can return it; you can recall it",
            f"只有{state.handover.target}可以退回；本单位可撤回转报",
            holder=state.holder,
        )


def _decide(sight: Sight, act: Act, acting: str) -> None:
    frame, decision = sight.frame, act.body["decision"]
    if (decision == "answered") != (frame.kind is CaseKind.REPLY):
        raise errors.WrongDecision(
            "a reply case is answered; every other case is granted or denied",
            "答复件的结论为“答复”，其他办件的结论为“准予”或“不予”",
        )
    if decision == "denied" and not (act.body.get("reasons") and act.body.get("remedies")):
        raise errors.BadBody(
            "a denial states its reasons and the remedies open to the applicant",
            "作出不予决定须说明理由并告知救济途径",
            key="reasons",
        )
    rank = level_rank(acting)
    due = rank_of_level(frame.approve_level)
    if rank < due and rank <= rank_of_level(Level.COUNTY) and acting not in sight.state.entrusted:
        raise errors.NotDecisionLevel(
            f"this item is decided at {label(frame.approve_level, 'en')} level; forward the case up",
            f"本事项由{label(frame.approve_level)}决定，请转报上级",
            level=frame.approve_level,
        )


def _extend(sight: Sight, act: Act, acting: str) -> None:
    if sight.state.extended is not None:
        raise errors.AlreadyExtended("the limit was extended once already", "该办件已延期一次，不能再次延期")


def _resume(sight: Sight, act: Act, acting: str) -> None:
    if act.body["of"] not in sight.state.suspensions:
        raise errors.NothingToAnswer("this special procedure is not open", "该特别程序不存在或已结束")


def _conclude(sight: Sight, act: Act, acting: str) -> None:
    conflict_id = sight.hinders_conclusion()
    if conflict_id is not None:
        raise errors.OpenConflict(
            "the case has an open conflict that must be settled before it is concluded; see the county administrator",
            "办件存在未裁定的冲突，须由县管理员裁定后方可办结",
            conflict=conflict_id,
        )


def _resolve(sight: Sight, act: Act, acting: str) -> None:
    found = sight.contested(act.body["conflict"])
    if found is None:
        raise errors.NothingToAnswer("there is no such conflict in this case", "本办件没有该冲突")
    by_county = acting == sight.frame.county and act.role in _ADMIN
    if not by_county and (found.kind != "field" or found.field_class in RESERVED_CLASSES):
        raise errors.NoPower("only the county administrator settles this conflict", "该冲突只能由县管理员裁定")
    choice = act.body["choice"]
    if (type(choice) is int and choice >= found.values) or (type(choice) is str and found.kind != "field"):
        raise errors.BadBody(
            f"choose one of the {found.values} values by its position from 0",
            f"请选择 0 到 {found.values - 1} 之间的值",
            key="choice",
        )


def _known_target(sight: Sight, act: Act, acting: str) -> None:
    if act.body.get("to") is not None and not act.body["to"].startswith(sight.frame.county):
        raise errors.BadTarget("an entrustment stays inside the county", "委托对象须在本县范围内")


_SPECIFIC: Mapping[OpKind, Callable[[Sight, Act, str], None]] = {
    OpKind.AMEND: _amend,
    OpKind.SUPPLEMENT: _supplement,
    OpKind.NOTICE: _notice,
    OpKind.CHECK_MATERIAL: _check_material,
    OpKind.FORWARD: _forward,
    OpKind.TAKE: _answers_handover,
    OpKind.RECALL: _answers_handover,
    OpKind.RETURN: _answers_handover,
    OpKind.DECIDE: _decide,
    OpKind.EXTEND: _extend,
    OpKind.RESUME: _resume,
    OpKind.CONCLUDE: _conclude,
    OpKind.RESOLVE: _resolve,
    OpKind.ENTRUST: _known_target,
}
