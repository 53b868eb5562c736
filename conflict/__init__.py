"""How competing facts become one case: fold, authority, conflicts, deadlines.

For: everything that edge and hub need to know about what a set of ops means.
May not: open a file, a socket or a database, read a clock, draw randomness (only the walled room `ledger/` may).
Spec: docs/conflict/.

Start here: `fold` makes a `CaseView` from ops, `allowed` says whether an act is possible now (`may_open` for the
first one), `check_body` whether its body is well formed, `explain` why a case stands as it does. Deadlines:
conflict.deadline. Words and their labels: conflict.kinds.
"""

from conflict.fold import fold
from conflict.kinds import CaseKind, OpKind, Status, check_body, label
from conflict.powers import allowed, may_open
from conflict.view import CaseView

__all__ = ["CaseKind", "CaseView", "OpKind", "Status", "allowed", "check_body", "fold", "label", "may_open"]
