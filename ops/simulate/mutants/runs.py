"""The short runs that mutants share.

For: few runs, so that few clean ones are needed beside them.
May not: hold a run that is not clean without a mutant (a test looks).
Manual: docs/testing.md, "Mutants".
"""

from __future__ import annotations

from ops.simulate.mutants.mutant import Run

WEATHER = Run(("drop", "partition_hub", "broker_forgets"))
CRASHES = Run(("crash_before_commit", "crash_after_commit"), seeds=(4, 1, 2, 3))
DYING = Run(CRASHES.faults, seeds=(34, 17, 46, 5, 8, 1, 2, 3))
GAPS = Run(("market_day", "reorder", "duplicate"))
POWER = Run(("power_cut", "partition_office"))
APART = Run(("quarrel", "clock_jumps"))
POISON = Run(("poison_op", "forged_author", "false_terms"))
SCANS = Run(("attachment_cut", "false_bytes"))
STICKS = Run(("usb_crossing", "partition_hub"))
HUB_BACK = Run(("hub_restored", "duplicate"))
CITY = Run(("city_cut", "crash_before_commit"))
RESTORED = Run(("edge_restored", "clone"))
REVOKED = Run(("device_revoked", "partition_office"))
PURGES = Run(("purge", "partition_office"))
QUOTA = Run(("quota_reached", "partition_office"))
OLD_STICKS = Run(("old_sticks", "partition_office"))
DAMAGE = Run(("page_damaged", "market_day"))
HERMIT = Run(("branch_alone", "village_hermit"), days=0.3)
OLD_CLOCK = Run(("hub_clock_1970", "duplicate"))
PUT_BACK = Run(("hub_restored", "catalogue_published"))
RUNS = {
    "weather": WEATHER,
    "crashes": CRASHES,
    "dying": DYING,
    "gaps": GAPS,
    "power": POWER,
    "apart": APART,
    "poison": POISON,
    "scans": SCANS,
    "sticks": STICKS,
    "hub_back": HUB_BACK,
    "city": CITY,
    "restored": RESTORED,
    "revoked": REVOKED,
    "purges": PURGES,
    "quota": QUOTA,
    "old_sticks": OLD_STICKS,
    "damage": DAMAGE,
    "hermit": HERMIT,
    "old_clock": OLD_CLOCK,
    "put_back": PUT_BACK,
}
