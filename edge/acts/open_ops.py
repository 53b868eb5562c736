"""Which op an act answers: the hand-over, the newest open notice or suspension, the op of a material.

For: turning "the notice" and "the hand-over" of a person into the op id that the body names.
May not: decide whether the answer is allowed (conflict/powers.py does).
"""

from __future__ import annotations

from conflict.errors import NothingToAnswer, TransitionNotAllowed
from conflict.view import CaseView


def forward_of(view: CaseView) -> bytes:
    """The forward op of the pending hand-over, else the one by which the holder got the case.

    Raises:  TransitionNotAllowed if the case was never handed over.
    """
    state = view.state
    if state.handover is not None:
        return state.handover.op
    if state.tenure is not None:
        return state.tenure.op
    raise TransitionNotAllowed("The case was not forwarded to any office.", "该办件没有转报记录，不能进行此操作。")


def open_notice(view: CaseView) -> bytes:
    """The newest one-time notice that is not answered. Raises NothingToAnswer."""
    if not view.state.notices:
        raise NothingToAnswer("No one-time notice of this case is open.", "该办件没有待补正的一次性告知。")
    return view.state.notices[-1]


def open_suspension(view: CaseView) -> bytes:
    """The newest special procedure that has not ended. Raises NothingToAnswer."""
    if not view.state.suspensions:
        raise NothingToAnswer("No special procedure of this case is open.", "该办件没有进行中的特别程序。")
    return view.state.suspensions[-1]


def material_op(view: CaseView, named: str) -> bytes:
    """The op that attached a material: by hex id of the op, or the current upload of that name.

    Raises:  NothingToAnswer.
    """
    for upload in view.materials:
        if upload["op"].hex() == named or (upload["material"] == named and upload["current"]):
            found: bytes = upload["op"]
            return found
    raise NothingToAnswer("The case has no such material.", "该办件没有这份材料。")
