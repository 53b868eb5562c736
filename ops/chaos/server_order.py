"""Save, then say, at a hub on PostgreSQL: no receipt leaves before the server has synced the commit that holds the op.

For: a county of one village with hub and server traced; an op goes up; the order of the server (its log synced before
COMMIT is answered) and of the hub (the answer before the receipt) make one chain.
May not: touch a server that belongs to the machine; run where strace or PostgreSQL is missing (it says so).
Manual: docs/operating/chaos.md, "System calls".  Decision: docs/decisions/0156-a-server-traced.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from edge.config import read_config
from ops.chaos.desk import Desk
from ops.chaos.ground import QUIET_S, SETTLE_SECONDS_MAX, applicant, broker_of, edge_words, hub_words, settled
from ops.chaos.order import check_hub_of_server, check_server
from ops.chaos.postgres import private_cluster
from ops.chaos.syscalls import read_trace, recording, why_not
from ops.demo import cast
from ops.demo.processes import Daemon, DemoFailed, free_port, wait_until
from protocol import topics

SHOWN_BYTES = 33_000  # of each buffer: some pages of the server's log


def look_at_server(room: Path, say: Callable[[str], None]) -> list[str]:
    """What is wrong with the order, in the empty directory `room`. Raises DemoFailed if the county cannot be set up."""
    if (reason := why_not()) is not None:
        say(f"the order at PostgreSQL is not looked at: {reason}")
        return []
    wrap = partial(recording, room / "server.trace", shown=SHOWN_BYTES)
    with ExitStack() as held, private_cluster(wrap) as cluster:
        desk = held.enter_context(closing(Desk()))
        op, mailbox = _one_op_up(room, desk, cluster.url, held)
    found = [f"server: {text}" for text in check_server(read_trace(room / "server.trace"), op)]
    found += [f"hub: {text}" for text in check_hub_of_server(read_trace(room / "hub.trace"), op, mailbox)]
    say("order of sync, commit and receipt at PostgreSQL: " + ("; ".join(found) or "right"))
    return found


def _one_op_up(room: Path, desk: Desk, url: str, held: ExitStack) -> tuple[str, str]:
    """Let a village's op come to the traced hub in a quiet moment; its id (hex) and the village's mailbox."""
    hub, village, port = room / "hub", room / "village", free_port()
    cast.write_items(room / "items.csv")
    desk.must(
        *("county", "init", "--dir", str(hub), "--county", cast.COUNTY, "--database", url),
        *("--broker", f"mqtt://127.0.0.1:{port}", "--areas", str(cast.DATA / "areas.csv")),
        *("--items", str(room / "items.csv")),
    )
    daemons = [
        broker_of(room, hub, port),
        Daemon("hub", recording(room / "hub.trace", hub_words(hub)), room / "hub.log"),
    ]
    for daemon in daemons:
        held.callback(daemon.kill)
        daemon.start()
    code = desk.must("county", "enrol", "--dir", str(hub), "--office", cast.PU)["code"]
    desk.must("edge", "join", "--dir", str(village), "--code", code)
    device = Daemon("village", edge_words(village), room / "village.log")
    held.callback(device.kill)
    device.start()
    case = desk.must("case", "accept", "--dir", str(village), *applicant(1))["case"]
    wait_until("the case is at the hub", lambda: settled(village), seconds=SETTLE_SECONDS_MAX)
    time.sleep(QUIET_S)
    op = desk.must("case", "note", "--dir", str(village), case, "--text", "上行")["op"]
    wait_until("the note is at the hub", lambda: settled(village), seconds=SETTLE_SECONDS_MAX)
    for daemon in (device, daemons[1]):
        if code := daemon.stop():
            raise DemoFailed(f"{daemon.name} ended with {code} at SIGTERM")
    return op, topics.mailbox(bytes.fromhex(read_config(village).incarnation))
