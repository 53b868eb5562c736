"""The catalogue of planted bugs.

For: looking mutants up by name; the table in the manual.
May not: plant anything.
Manual: docs/testing.md, "Mutants".
"""

from __future__ import annotations

from ops.simulate.mutants.branch import BRANCH
from ops.simulate.mutants.conflict import CONFLICT
from ops.simulate.mutants.edge import EDGE
from ops.simulate.mutants.hub import HUB
from ops.simulate.mutants.ledger import LEDGER
from ops.simulate.mutants.link import LINK
from ops.simulate.mutants.mutant import Mutant
from ops.simulate.mutants.upkeep import UPKEEP

MUTANTS: dict[str, Mutant] = {
    mutant.name: mutant for mutant in (*EDGE, *UPKEEP, *BRANCH, *LINK, *LEDGER, *CONFLICT, *HUB)
}
