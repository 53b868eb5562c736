"""The tree of commands: which groups and commands `liandong` has.

For: putting the groups together; nothing else.
May not: import anything heavy, or every command pays for it (tests/unit/ops/test_light_start.py).
"""

from __future__ import annotations

import typer

from ops.cli import bench, broker, bundle, case, city, county, demo, edge, hub, node, simulate, upkeep

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Liandong (联动): cases from village rooms, township halls and the county centre, with or without a line.",
)
for name, group in (
    ("county", county.app),
    ("edge", edge.app),
    ("hub", hub.app),
    ("broker", broker.app),
    ("case", case.app),
    ("node", node.app),
    ("bundle", bundle.app),
    ("city", city.app),
    ("bench", bench.app),
):
    app.add_typer(group, name=name)
app.command("reconcile")(upkeep.reconcile)
app.command("backup")(upkeep.backup)
app.command("restore")(upkeep.restore)
node.app.command("retry")(upkeep.retry)
node.app.command("aside")(upkeep.aside)
node.app.command("repair")(upkeep.repair)
node.app.command("purge")(upkeep.purge)
case.app.command("fetch")(upkeep.fetch)
hub.app.command("takeover")(upkeep.takeover)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
