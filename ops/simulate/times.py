"""Times: whatever clocks said, no op counts as made before the county began or long after now, and all know the time.

For: effective times in the hub's kept views and the hub time that each device remembers, against the world's.
May not: use the product's clocks.
Manual: docs/testing.md, "What is checked".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulate import raw
from ops.simulate.equality import Hub
from ops.simulate.findings import Findings
from ops.simulate.world import DAY, START_MS

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

HUB_TIME = "edge.hub_time"
AHEAD_MS_MAX = 45 * DAY  # a hub restarted while its clock stood a month ahead believes that month


def times_are_plausible(sim: Simulation, hub: Hub, found: Findings) -> None:
    """See the module. After the rounds."""
    low, high = START_MS - DAY, sim.world.now_ms + AHEAD_MS_MAX
    for case, record in hub.records.items():
        for entry in record["timeline"]:
            if entry["verdict"] == "applied" and not low <= entry["at_ms"] <= high:
                years = 1970 + entry["at_ms"] / (365.25 * DAY)
                found.add("diverged", f"case {case.hex()[:12]} counts {entry['kind']} as made in {years:.1f}")
    for machine in sim.working():
        known = raw.meta(machine.store_path, HUB_TIME)
        if known and known[0] > high:
            found.add("diverged", f"{machine.name} believes that the hub's time is {(known[0] - high) // DAY} days on")
