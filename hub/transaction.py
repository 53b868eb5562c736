"""The work of one intake transaction: append, fold, what the hub adds, routing, verdicts, receipts.

For: everything between the first statement and the commit; admin acts use it too, so that all ops take one path.
May not: commit; open envelopes; check signatures (hub.arrival did).
Spec: docs/operating/hub.md, "Intake".  Decision: docs/decisions/0083-one-transaction-per-batch.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from conflict.kinds import OpKind, Role
from conflict.ledger import receipts as outcomes_kept
from conflict.ledger import schema as ledger
from conflict.ledger.append import Outcome, append_many, touched
from conflict.ledger.statements import steps
from conflict.ledger.views import heads, ops_by_id, refold
from hub import carriers, contents, duplicates, held, judge, notices, refusals, state, streams, upward_link
from hub.arrival import Rejected
from hub.author import HUB_STAFF, Author
from hub.documents import Shelf
from hub.routing import COUNTING, participants, scope_of
from hub.streams import Item
from hub.turn import take_turn
from hub.verdicts import ACCEPTED, REFUSED, WAITING, Verdict, receipts_for
from protocol.keys import DeviceKeys
from protocol.op import Op, Reference
from protocol.receipt import sign_receipt
from protocol.roster import ACTIVE, FROZEN, REVOKED, Roster

if TYPE_CHECKING:
    from conflict.view import CaseView


Lines = Mapping[bytes, Mapping[str, Any]]  # op id -> its line in the timeline of its case


class Work:
    """One transaction's work. `take` batches, then `finish` once; the caller commits, and then only anything leaves."""

    def __init__(self, tx: Connection, keys: DeviceKeys, shelf: Shelf, *, now_ms: int) -> None:
        take_turn(tx)
        shelf.refresh(tx)
        self.tx = tx
        self.now_ms = max(now_ms, state.signed_ms(tx))
        if self.now_ms - now_ms > notices.CLOCK_MS_MAX:
            notices.tell_clock(tx, now_ms=self.now_ms)
        self.stored = 0
        self.held = 0
        self.verdicts: list[Verdict] = []
        self.receipts: list[bytes] = []
        self.offices: set[str] = set()
        self.roster_changed = False
        self._keys = keys
        self._shelf = shelf
        self._author: Author | None = None
        self._recorded: dict[bytes, str] = {}  # op id -> refused or waiting, as it was before
        self._forged: set[bytes] = set()  # refused with their bytes: nothing more to keep about them
        self._down: dict[str, list[Item]] = {}

    @property
    def author(self) -> Author:
        """The hub's own pen in this transaction."""
        if self._author is None:
            versions = Reference(self._shelf.version("catalogue"), self._shelf.version("calendar"))
            self._author = Author(self.tx, self._keys, versions, now_ms=self.now_ms)
        return self._author

    def take(
        self,
        ops: Sequence[Op],
        *,
        via: str,
        released: bool = False,
        against: Mapping[bytes, judge.Objection] | None = None,
    ) -> list[CaseView]:
        """Append authentic ops and do all that follows from them.

        Args:    released: a person has decided about them, so that it does not matter that their device was revoked.
                 against: what a person objects to ops among them, by op id: they are kept and vetoed.
        Returns: the views of the cases that changed.
        """
        against = against or {}
        speaking = list(ops) if released else self._hold_late(ops)
        if not speaking:
            return []
        outcomes = append_many(self.tx, speaking, arrived_ms=self.now_ms, via=via)
        new = [op for op, outcome in zip(speaking, outcomes, strict=True) if outcome.state != "repeat"]
        views = {view.case: view for view in refold(self.tx, touched(outcomes), fresh=new, brief=True)}
        self._freeze_forked(outcomes, {op.id: op for op in new})
        woken = self._woken(outcomes)
        ready = {outcome.op_id for outcome in outcomes if outcome.ready}
        judged = [op for op in new if op.id in ready] + woken
        new += self._add_hub_facts(judged, views, against)
        new += self._veto_waiting([op for op in new if op.id in against and op.id not in ready], against)
        lines: dict[bytes, Lines] = {
            case: {entry["op"]: entry for entry in view.timeline} for case, view in views.items()
        }
        attached = [op for op in judged if op.kind in contents.NAMING and _counts(lines[op.case].get(op.id))]
        contents.declare(self.tx, attached, now_ms=self.now_ms)
        duplicates.mark_due(self.tx, judged, now_ms=self.now_ms)
        upward_link.follow(self.tx, views.values(), now_ms=self.now_ms)
        self._route(views, new, [*new, *woken])
        arrived = Counter(op.case for op in new)
        older = list(views) if released else [case for case in views if len(lines[case]) > arrived[case]]
        self._judge(outcomes, new, lines, self._recorded_in(older), against)
        self.stored += len(new)
        return list(views.values())

    def write(
        self, case: bytes, kind: OpKind, body: Mapping[str, Any], *, staff: str = HUB_STAFF, role: Role = Role.HUB
    ) -> Op:
        """An op of the hub about a case, by the same path as all ops. The caller has asked whether it is allowed."""
        op = self.author.sign(kind, case=case, parents=heads(self.tx, case), body=body, staff=staff, role=role)
        self.take([op], via="hub")
        return op

    def carried(self, sender: bytes, ops: Sequence[Op]) -> None:
        """Ops that a device handed in for offices below its own: it gets the receipts too, and may have their files.

        After `take`. Own ops of the sender, and those of offices that never were below it, are passed over. What it took
        for an office that has left it since, or had left it when the case was routed, are cases that it holds: they come
        to it as to any holder.
        """
        roster = self._shelf.roster
        device = roster.device(sender)
        foreign = [op for op in ops if op.device != sender]
        if not foreign or device is None or device.state == REVOKED:
            return
        mine = [op for op in foreign if carriers.was_above(self.tx, roster, device.office, op.office)]
        carriers.note(self.tx, device.office, {op.office for op in mine})
        contents.also_from(self.tx, mine, sender)
        self._hold_too(device.office, {op.case for op in mine})

    def _hold_too(self, office: str, cases: Collection[bytes]) -> None:
        """An office that has ops of these cases in its store holds them whole from now on, if it did not. A case of which
        nobody holds anything yet, since its beginning is missing, is routed when that comes."""
        held = streams.scopes(self.tx, cases)
        whole = streams.all_of(self.tx, [case for case in sorted(cases) if held[case] and office not in held[case]])
        fresh = {case: items for case, items in whole.items() if items}
        for items in fresh.values():
            self._down.setdefault(office, []).extend(items)
        streams.enter_scope(self.tx, [(case, office) for case in fresh])

    def answer_again(self, ops: Sequence[Op]) -> None:
        """Receipts once more for ops that are here already, also for those that wait: whoever offers them does not know."""
        said = {one.op for one in self.verdicts}  # this transaction may have changed what was said before
        known = outcomes_kept.outcomes_of(self.tx, [op.id for op in ops])
        for op in ops:
            if op.id in said:
                continue
            before = known.get(op.id)
            if before is None or before.outcome == ACCEPTED:
                self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, ACCEPTED))
            elif before.outcome == REFUSED:
                self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, REFUSED, before.code, before.reason))
            else:
                self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, WAITING, before.code))

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Record what is not authentic. Where the sender names itself as the author it gets a receipt that says so."""
        for one in rejected:
            refusals.record(self.tx, refusals.of_rejected(one), now_ms=self.now_ms)
            if one.author == one.sender:
                self.verdicts.append(Verdict(one.id, one.author, one.seq, None, REFUSED, one.code, one.reason))
                self._forged.add(one.id)

    def finish(self) -> None:
        """Write verdicts, receipts and streams."""
        self._keep_verdicts()
        roster = self._shelf.roster
        first: dict[str, list[Item]] = {}
        made = receipts_for(self.verdicts, county=self._keys.county, hub_ms=self.now_ms)
        carrying = carriers.carriers(self.tx) if made else {}
        for author, some in made.items():
            device = roster.device(author)
            if device is None or device.role != "edge":
                continue
            blobs = [sign_receipt(receipt, self._keys) for receipt in some]
            self.receipts += blobs
            for office in (device.office, *carrying.get(device.office, ())):
                first.setdefault(office, []).extend(streams.receipt_item(blob) for blob in blobs)
        for office, items in self._down.items():
            first.setdefault(office, []).extend(items)
        streams.extend(self.tx, first)
        self.offices |= set(first)
        if self.receipts or self.stored:
            state.note_signed(self.tx, self.now_ms)

    def _hold_late(self, ops: Sequence[Op]) -> list[Op]:
        """Ops of revoked devices go to a person (law 7), openers under a lost catalogue wait for it; the others are
        returned."""
        speaking = []
        for op in ops:
            device = self._shelf.roster.device(op.device)
            if device is None or device.state != REVOKED:
                if self._lacks_terms(op):
                    held.hold(self.tx, op, code=held.CATALOGUE_LOST, detail="", now_ms=self.now_ms)
                    self.held += 1
                    self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, WAITING, held.CATALOGUE_LOST))
                else:
                    speaking.append(op)
                continue
            held.hold(self.tx, op, code="revoked", detail="", now_ms=self.now_ms)
            self.held += 1
            self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, WAITING, "revoked"))
            notices.tell(
                self.tx,
                code="late_ops",
                about=op.device.hex(),
                office=op.office,
                text="A revoked device handed in ops; a person decides whether they count.",
                text_zh="已注销的设备补交了条目，需人工决定是否采纳。",
                now_ms=self.now_ms,
            )
        return speaking

    def _lacks_terms(self, op: Op) -> bool:
        """Whether the op rests on item versions that went with a restore of the hub and may come back."""
        shelf = self._shelf
        return shelf.era.lost("catalogue", op.reference.catalogue) and judge.objection(op, shelf.terms) is not None

    def _freeze_forked(self, outcomes: Iterable[Outcome], new: dict[bytes, Op]) -> None:
        """Two histories under one device: both are kept, the incarnation is frozen, a person is told."""
        devices = {new[outcome.op_id].device for outcome in outcomes if outcome.fork is not None}
        for incarnation in sorted(devices):
            device = self._shelf.roster.device(incarnation)
            if device is None:
                continue
            notices.tell(
                self.tx,
                code="fork",
                about=incarnation.hex(),
                office=device.office,
                text="One device wrote two histories: it was cloned, or restored from an old backup. Enrol it anew.",
                text_zh="同一设备出现两份历史：可能被克隆或用旧备份恢复，请重新入网。",
                now_ms=self.now_ms,
            )
            if device.state == ACTIVE and device.role == "edge":
                changed = replace(device, state=FROZEN, state_ms=self.now_ms)
                self._change_roster(changed)

    def _change_roster(self, device: object) -> None:
        def put(roster: Roster) -> None:
            roster.put_device(device)  # type: ignore[arg-type]

        self._shelf.change_roster(self.tx, self._keys, put, now_ms=self.now_ms)
        self.roster_changed = True

    def _woken(self, outcomes: Iterable[Outcome]) -> list[Op]:
        ids = [op_id for outcome in outcomes for op_id in outcome.woken]
        return list(ops_by_id(self.tx, ids).values()) if ids else []

    def _veto_waiting(self, ops: Sequence[Op], against: Mapping[bytes, judge.Objection]) -> list[Op]:
        """Vetoes of ops that wait for others: each names its op as parent, so both are folded together once they can be."""
        vetoes = [
            self.author.sign(
                OpKind.VETO,
                case=op.case,
                parents=(op.id,),
                body=_veto(op, against[op.id]),
                staff=against[op.id].staff,
            )
            for op in ops
        ]
        if vetoes:
            append_many(self.tx, vetoes, arrived_ms=self.now_ms, via="hub")
        return vetoes

    def _add_hub_facts(
        self, judged: Sequence[Op], views: dict[bytes, CaseView], against: Mapping[bytes, judge.Objection]
    ) -> list[Op]:
        """Vetoes and time bounds about ops that are ready; appended and folded like all ops."""
        facts: list[Op] = []
        heads: dict[bytes, tuple[bytes, ...]] = {}
        for op in judged:
            view = views.get(op.case)
            if view is None or op.device == self._keys.incarnation:
                continue
            for kind, body, staff in self._facts_about(op, view, against.get(op.id)):
                parents = heads.get(op.case) or view.heads
                fact = self.author.sign(kind, case=op.case, parents=parents, body=body, staff=staff)
                heads[op.case] = (fact.id,)
                facts.append(fact)
        if facts:
            outcomes = append_many(self.tx, facts, arrived_ms=self.now_ms, via="hub")
            views.update((view.case, view) for view in refold(self.tx, touched(outcomes), fresh=facts, brief=True))
        return facts

    def _facts_about(
        self, op: Op, view: CaseView, against: judge.Objection | None
    ) -> list[tuple[OpKind, dict[str, object], str]]:
        facts: list[tuple[OpKind, dict[str, object], str]] = []
        against = against or judge.objection(op, self._shelf.terms)
        if against is not None and op.id not in view.refused:
            facts.append((OpKind.VETO, _veto(op, against), against.staff))
        device = self._shelf.roster.device(op.device)
        bounds = judge.bound(op, self.now_ms, device.since_ms if device else 0)
        if bounds is not None:
            facts.append((OpKind.TIME_BOUND, {"of": op.id, **bounds}, HUB_STAFF))
        return facts

    def _route(self, views: dict[bytes, CaseView], new: Sequence[Op], news: Sequence[Op]) -> None:
        """Put new ops into the streams of all offices that hold their cases, and whole cases into those that now do."""
        by_case: dict[bytes, list[Op]] = {case: [] for case in views}
        for op in new:
            by_case.setdefault(op.case, []).append(op)
        of_case: dict[bytes, list[Op]] = {}
        for op in news:
            of_case.setdefault(op.case, []).append(op)
        opened = {op.case for op in new if op.opens}  # nobody holds these yet
        held_by = streams.scopes(self.tx, [case for case in by_case if case not in opened])
        entering: dict[bytes, list[str]] = {}
        for case, view in views.items():
            taking_part = participants(view, of_case.get(case, ()))
            scope = scope_of(taking_part, self._shelf.roster.parent, self._keys.county)
            fresh = sorted(scope - held_by.get(case, set()))
            if fresh:
                entering[case] = fresh
        for case, ops in by_case.items():
            for office in sorted(held_by.get(case, ())):
                self._down.setdefault(office, []).extend(streams.op_item(op) for op in ops)
        if entering:
            self._enter(entering, views, by_case)

    def _enter(
        self, entering: dict[bytes, list[str]], views: dict[bytes, CaseView], by_case: dict[bytes, list[Op]]
    ) -> None:
        """Offices that hold a case from now on get all of it: what arrived just now, and what was here before."""
        waiting = self.tx.scalar(select(ledger.waits.c.op_id).limit(1)) is not None
        here = [case for case in entering if waiting or len(views[case].timeline) > len(by_case[case])]
        whole = streams.all_of(self.tx, here)
        for case, offices in entering.items():
            items = whole.get(case) or [streams.op_item(op) for op in by_case[case]]
            for office in offices:
                self._down.setdefault(office, []).extend(items)
        streams.enter_scope(self.tx, ((case, office) for case, some in entering.items() for office in some))

    def _judge(
        self,
        outcomes: Sequence[Outcome],
        new: Sequence[Op],
        lines: dict[bytes, Lines],
        recorded: dict[bytes, bytes],
        against: Mapping[bytes, judge.Objection],
    ) -> None:
        """Verdicts on what arrived, and on older ops of the same cases whose verdict has changed.

        Args:    recorded: older ops that were refused or waiting so far, with their cases.
                 against: what a person objects to ops among the new ones; that is said at once, though an op may wait.
        """
        by_id = {op.id: op for op in new}
        said: set[bytes] = set()
        for outcome in outcomes:
            op = by_id.get(outcome.op_id)
            if op is None or op.id in said:
                continue
            said.add(op.id)
            entry = lines.get(op.case, {}).get(op.id) if outcome.ready else None
            if entry is None and op.id in against:
                word = against[op.id]
                self.verdicts.append(Verdict(op.id, op.device, op.seq, op.prev, REFUSED, word.code, word.reason))
            else:
                self.verdicts.append(_verdict(op, entry, foreign=bool(outcome.foreign)))
        refused = {
            op_id: case
            for case, mine in lines.items()
            for op_id, entry in mine.items()
            if entry["verdict"] == "refused" and op_id not in by_id
        }
        changed = {
            op_id: case
            for op_id, case in {**recorded, **refused}.items()
            if op_id not in said and _state(lines.get(case, {}).get(op_id)) != self._recorded.get(op_id, ACCEPTED)
        }
        for op in ops_by_id(self.tx, changed).values() if changed else ():
            self.verdicts.append(_verdict(op, lines.get(op.case, {}).get(op.id), foreign=False))

    def _recorded_in(self, cases: Iterable[bytes]) -> dict[bytes, bytes]:
        """Ops of these cases that were refused or waiting so far, with their cases."""
        found: dict[bytes, bytes] = {}
        outcomes = ledger.op_outcomes
        for part in steps(cases):
            query = select(outcomes.c.op_id, ledger.ops.c.case_id, outcomes.c.outcome).join(
                ledger.ops, ledger.ops.c.id == outcomes.c.op_id
            )
            where = ledger.ops.c.case_id.in_(part) & (outcomes.c.outcome != ACCEPTED)
            for op_id, case, outcome in self.tx.execute(query.where(where)):
                found[op_id] = case
                self._recorded[op_id] = outcome
        return found

    def _keep_verdicts(self) -> None:
        kept = [
            outcomes_kept.OpOutcome(one.op, one.state, one.code, one.reason, self.now_ms)  # type: ignore[arg-type]
            for one in self.verdicts
            if one.op not in self._forged and (one.state != ACCEPTED or one.op in self._recorded)
        ]
        if kept:
            outcomes_kept.save_outcomes(self.tx, kept)
        for one in self.verdicts:
            if one.op in self._forged:
                continue
            if one.state == REFUSED and self._recorded.get(one.op) != REFUSED:
                entry = refusals.Refusal("op", one.op, one.code, one.reason, one.device, self._office(one), one.seq)
                refusals.record(self.tx, entry, now_ms=self.now_ms)
            elif one.state == ACCEPTED and self._recorded.get(one.op) == REFUSED:
                refusals.withdraw(self.tx, one.op)

    def _office(self, one: Verdict) -> str:
        device = self._shelf.roster.device(one.device)
        return device.office if device else ""


def _counts(line: Mapping[str, Any] | None) -> bool:
    return line is not None and line["verdict"] in COUNTING


def _state(line: Mapping[str, Any] | None) -> str:
    if line is None or line["verdict"] == "waiting":
        return WAITING
    return REFUSED if line["verdict"] == "refused" else ACCEPTED


def _veto(op: Op, against: judge.Objection) -> dict[str, object]:
    return {"of": op.id, "code": against.code, "reason": against.reason}


def _verdict(op: Op, line: Mapping[str, Any] | None, *, foreign: bool) -> Verdict:
    """What to say of an op. line: its line in the case's timeline, None while it is not ready."""
    state = REFUSED if foreign else _state(line)
    if foreign:
        code, reason = "foreign_parent", "该条目引用了其他办件的条目，不能采纳。"
    elif line is None:
        code, reason = "missing_parent", ""
    else:
        code, reason = line["code"], line["reason_zh"]
    plain = state == ACCEPTED
    return Verdict(op.id, op.device, op.seq, op.prev, state, "" if plain else code, "" if plain else reason)
