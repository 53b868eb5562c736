"""The desk: one act of one person becomes signed ops, view, outbox rows and files in one transaction.

For: everything that all acts share: find the case, check powers early, sign as the next ops of this device, append,
refold, queue, commit; only then is there a `Saved` to show.
May not: need a network; know what a single act means (edge/acts/ does); keep anything of a failed act.
Spec: docs/architecture.md, "The journey of one case".  Decision: docs/decisions/0070-one-transaction-per-act.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from conflict.ledger.append import append_many
from conflict.ledger.chains import last_of
from conflict.ledger.files import save_file
from conflict.ledger.store import Store
from conflict.ledger.views import heads, refold, view
from conflict.powers import allowed, may_open
from edge import incarnation, memory, outbox, unsent
from edge.attachment import CASE_BYTES_MAX, FileToAttach
from edge.clock import Clock, evidence
from edge.due import keep_due
from edge.errors import AttachmentTooLarge, FieldTooLong, RefusedByRules, TooMuchUnsent
from edge.purge import find_here
from edge.reference import Reference
from edge.staff import Actor, still_here
from protocol import canonical
from protocol.errors import LocalProtocolError
from protocol.keys import DeviceKeys
from protocol.op import OP_BYTES_MAX, PARENTS_MAX, Draft, Op, sign_op
from protocol.op import Reference as Versions

if TYPE_CHECKING:
    from conflict.view import CaseView

BODY_BYTES_MAX = OP_BYTES_MAX - 4_096  # what an op has besides: 64 parents, signature, names
VIA = "local"  # how an op of this device came here

Step = tuple[str, Mapping[str, Any]]  # kind and body of one op
Steps = Sequence[Step]  # the ops of one act, each building upon the one before


@dataclass(frozen=True, slots=True)
class Saved:
    """What a finished act answers: durable now. case, op: hex ids (the act's first op); status after the act."""

    case: str
    number: str
    status: str
    op: str


class Desk:
    """Where acts are written. One per open store; safe to use from several threads."""

    def __init__(self, store: Store, keys: DeviceKeys, reference: Reference, clock: Clock) -> None:
        self.store = store
        self.keys = keys
        self.reference = reference
        self.clock = clock
        self.unsent_bytes_max = unsent.UNSENT_BYTES_MAX  # the office may set another (edge/lanes.py)

    @property
    def office(self) -> str:
        return self.keys.office

    def open_case(self, actor: Actor, make: Callable[[Connection], Steps], files: Sequence[FileToAttach] = ()) -> Saved:
        """Open a case with the steps that `make` gives and keep the bytes of `files`, all or nothing.

        Raises:  whatever `make` raises; RefusedError and its kin for an act outside the office's or person's powers.
        """
        with self.store.write() as tx:
            author = still_here(tx, actor)
            steps = make(tx)
            kind, body = steps[0]
            may_open(kind, self.office, author.role, body)
            return self._write(tx, author, None, steps, files)

    def act(
        self,
        actor: Actor,
        case: str,
        make: Callable[[Connection, CaseView], Steps],
        files: Sequence[FileToAttach] = (),
    ) -> Saved:
        """Add the steps that `make` gives for the case as it stands, and keep the bytes of `files`, all or nothing.

        Args:    case: number, hex id, or the beginning of one.
        Raises:  UnknownCase, AmbiguousCase, RefusedError and its kin, whatever `make` raises. Nothing is changed then.
        """
        with self.store.write() as tx:
            author = still_here(tx, actor)
            before = view(tx, find_here(tx, case))
            steps = make(tx, before)
            kind, body = steps[0]
            allowed(before, kind, self.office, author.role, body)
            return self._write(tx, author, before, steps, files)

    def _write(
        self, tx: Connection, author: Actor, before: CaseView | None, steps: Steps, files: Sequence[FileToAttach]
    ) -> Saved:
        _check_room(before, files)
        _check_quota(tx, files, self.unsent_bytes_max)
        incarnation.need_current(tx, self.keys.incarnation)
        ops = self._sign(tx, author, before, steps)
        now_ms = self.clock.now_ms()
        outcomes = append_many(tx, ops, arrived_ms=now_ms, via=VIA)
        if any(outcome.state != "new" for outcome in outcomes):
            raise LocalProtocolError("an op of this device does not follow its own chain")
        outbox.add(tx, ops, now_ms=now_ms, base=incarnation.base(tx, self.keys.incarnation))
        unsent.add(tx, ops)
        for file in files:
            save_file(tx, file.data, now_ms=now_ms)
        after = refold(tx, [ops[0].case], fresh=ops)[0]
        _need_applied(after, ops)
        keep_due(tx, [after], self.reference.calendar(tx), now_ms=now_ms)
        return Saved(after.case.hex(), after.number, str(after.status), ops[0].id.hex())

    def _sign(self, tx: Connection, author: Actor, before: CaseView | None, steps: Steps) -> list[Op]:
        """The ops of one act: each is the next of this device's chain and follows the one before it in the case."""
        seq, last = last_of(tx, self.keys.incarnation)
        case = before.case if before else None
        parents = tuple(heads(tx, case))[:PARENTS_MAX] if case else ()
        held = self.reference.versions(tx)
        proof = evidence(self.clock, memory.hub_time(tx))
        ops: list[Op] = []
        for kind, body in steps:
            _check_size(body)
            draft = Draft(
                kind=kind,
                case=case,
                parents=parents,
                staff=author.name,
                role=author.role,
                claimed_ms=self.clock.now_ms(),
                body=body,
                evidence=proof,
                reference=Versions(catalogue=held["catalogue"], calendar=held["calendar"]),
            )
            op = sign_op(
                draft,
                office=self.office,
                device=self.keys.incarnation,
                seed=self.keys.sign_seed,
                seq=seq + 1,
                prev=last or None,
                suite_number=self.keys.suite,
            )
            ops.append(op)
            seq, last, case, parents = op.seq, op.id, op.case, (op.id,)
        return ops


def attach_step(file: FileToAttach) -> Step:
    """The op that says what a file is. Its bytes go to the desk beside it."""
    return "attach", {
        "material": file.material,
        "sha256": file.sha256,
        "size": len(file.data),
        "media": file.media,
        "name": file.name,
        "grade": file.grade,
        **({"reduced_from": file.reduced_from} if file.reduced_from else {}),
    }


def _check_size(body: Mapping[str, Any]) -> None:
    if len(canonical.encode(dict(body))) > BODY_BYTES_MAX:
        raise FieldTooLong(
            f"What was entered is longer than {BODY_BYTES_MAX} bytes together; put long texts into an attachment.",
            f"填写内容合计超过 {BODY_BYTES_MAX} 字节，请将长文本作为附件上传。",
        )


def _check_room(before: CaseView | None, files: Sequence[FileToAttach]) -> None:
    held = sum(material["size"] for material in before.materials) if before else 0
    if files and held + sum(len(file.data) for file in files) > CASE_BYTES_MAX:
        limit = CASE_BYTES_MAX // (1024 * 1024)
        raise AttachmentTooLarge(
            f"The files of one case may have {limit} MiB together.", f"一个办件的附件合计不得超过 {limit} MB。"
        )


def _check_quota(tx: Connection, files: Sequence[FileToAttach], limit: int) -> None:
    waiting = unsent.total(tx)[1] if files else 0
    if files and waiting + sum(len(file.data) for file in files) > limit:
        mib = 1024 * 1024
        raise TooMuchUnsent(
            f"Attachments of this office that wait to be sent would be more than {limit // mib} MiB ({waiting // mib} MiB "
            "wait). The case can be entered without them; synchronise or carry a stick, then attach.",
            f"本机构待上传的附件将超过 {limit // mib} MB（现有 {waiting // mib} MB）。可先录入办件，同步或用U盘传送后再补传附件。",
        )


def _need_applied(after: CaseView, ops: Sequence[Op]) -> None:
    """The fold has the last word: an op that it does not apply here is not worth signing."""
    mine = {op.id for op in ops}
    for entry in after.timeline:
        if entry["op"] in mine and entry["verdict"] != "applied":
            raise RefusedByRules(entry["reason"], entry["reason_zh"], rule=entry["code"])
