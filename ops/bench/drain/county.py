"""The county that had the outage: initialised, its machines enrolled with keys and broker accounts, a broker for it.

For: the hub's directory and the plans that the simulated devices follow.
May not: write an op: what the devices hold is theirs to offer.
Manual: docs/performance.md, "After an outage".
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conflict.ledger.meta import put_meta
from conflict.terms import terms_of
from hub import broker_accounts
from hub.init import County, init_county, open_county
from hub.state import epoch_of
from ops.bench.drain.cases import places
from ops.bench.material import COUNTY, ITEM, Author
from ops.bench.town import DATA
from ops.broker.mosquitto import ACL_NAME, acl_text, mosquitto_config
from ops.clock import wall_clock
from ops.demo.processes import COMMAND, Daemon
from ops.reconcile.comparer import RESULT
from protocol import topics
from protocol.documents import KINDS
from protocol.errors import InputError
from protocol.roster import Roster

BROKERS = ("embedded", "mosquitto")
URGENT_EVERY, URGENT_AT = 10, 3  # each tenth office holds an urgent case, beginning with a village


@dataclass(frozen=True, slots=True)
class Machine:
    """One device of the plan. seed: its keys and its cases follow from it."""

    seed: int
    office: str
    urgent: bool
    incarnation: bytes


def make_county(directory: Path, *, machines: int, ops: int, broker: str, workers: int) -> tuple[list[Machine], int]:
    """A county in `directory` with this many machines in its roster; plans `plan-0.json` … beside it.

    Returns: the machines, and how many offices they stand in.
    """
    init_county(
        directory,
        areas=DATA / "areas.csv",
        items=DATA / "items.csv",
        county=COUNTY,
        broker=broker,
        now_ms=wall_clock()(),
    )
    county = open_county(directory)
    try:
        levels = {code: office.level for code, office in county.shelf.roster.offices.items() if code.startswith(COUNTY)}
        found = [
            Machine(
                seed, office, seed % URGENT_EVERY == URGENT_AT, Author(random.Random(seed), office).keys.incarnation
            )
            for seed, office in enumerate(places(levels, COUNTY, machines), start=1)
        ]
        _enrol(county, found)
        for at in range(workers):
            plan = _plan(county, found[at::workers], ops)
            (directory.parent / f"plan-{at}.json").write_text(json.dumps(plan), "utf-8")
    finally:
        county.store.close()
    return found, len({one.office for one in found})


def _enrol(county: County, machines: Sequence[Machine]) -> None:
    devices = [Author(random.Random(one.seed), one.office).device for one in machines]

    def put(roster: Roster) -> None:
        for device in devices:
            roster.put_device(device)

    compared = {
        "at_ms": wall_clock()(),
        "equal": True,
    }  # so that the hub begins no comparison: devices here answer none
    with county.store.write() as tx:
        county.shelf.change_roster(tx, county.keys, put, now_ms=wall_clock()())
        for one in machines:
            put_meta(tx, RESULT + one.incarnation.hex(), {**compared, "epoch": epoch_of(tx)})


def _plan(county: County, machines: Sequence[Machine], ops: int) -> dict[str, Any]:
    roster = county.shelf.roster
    with county.store.read() as tx:
        epoch = epoch_of(tx)
    devices = []
    for one in machines:
        password = broker_accounts.new_password()
        broker_accounts.write_password(county.directory, topics.mailbox(one.incarnation), password)
        devices.append(
            {
                "seed": one.seed,
                "office": one.office,
                "above": roster.parent(one.office),
                "urgent": one.urgent,
                "password": password,
            }
        )
    return {
        "card": county.card.to_bytes().hex(),
        "broker": county.config.broker,
        "epoch": epoch.hex(),
        "documents": {kind: county.shelf.version(kind) for kind in KINDS},
        "terms": terms_of(county.shelf.items[ITEM]),
        "ops": ops,
        "jitter_ms": 1_000,
        "devices": devices,
    }


def broker_daemon(kind: str, directory: Path, port: int) -> Daemon:
    """The broker's process, not started. Raises InputError where Mosquitto is asked for and not installed."""
    log = directory.parent / "broker.log"
    if kind == "embedded":
        command = [*COMMAND, "broker", "run", "--dir", str(directory), "--port", str(port)]
        return Daemon("the embedded broker", command, log)
    program = find_mosquitto()
    if program is None:
        raise InputError(
            "Mosquitto is not installed; install it, or choose --broker embedded.",
            "未安装 Mosquitto,请先安装,或使用 --broker embedded。",
        )
    home = broker_accounts.passwords_path(directory).parent
    as_us = "user root\n" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""  # else it may not read our files
    config = mosquitto_config(directory, port=port) + "log_type information\n" + as_us
    (home / "mosquitto.conf").write_text(config, "utf-8")
    (home / ACL_NAME).write_text(acl_text(), "utf-8")
    return Daemon("Mosquitto", [program, "-c", str(home / "mosquitto.conf")], log, ready="running")


def find_mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def hub_daemon(directory: Path) -> Daemon:
    """The hub's process, not started."""
    return Daemon("the hub", [*COMMAND, "hub", "run", "--dir", str(directory)], directory.parent / "hub.log")


def stored_ops(directory: Path, machines: Sequence[Machine], ops: int) -> dict[str, int]:
    """What the hub's store holds at the end: stored, lost, doubled (one number of one device twice), refused, waiting."""
    from sqlalchemy import func, select

    from conflict.ledger import schema as ledger

    county = open_county(directory)
    try:
        with county.store.read() as tx:
            counted = select(ledger.ops.c.device, func.count(), func.count(func.distinct(ledger.ops.c.seq)))
            rows = {row[0]: (row[1], row[2]) for row in tx.execute(counted.group_by(ledger.ops.c.device))}
            outcome = select(ledger.op_outcomes.c.outcome, func.count()).group_by(ledger.op_outcomes.c.outcome)
            outcomes = {row[0]: row[1] for row in tx.execute(outcome)}
    finally:
        county.store.close()
    held = [rows.get(one.incarnation, (0, 0)) for one in machines]
    return {
        "stored": sum(count for count, _different in held),
        "lost": sum(ops - different for _count, different in held),
        "doubled": sum(count - different for count, different in held),
        "refused": outcomes.get("refused", 0),
        "waiting": outcomes.get("waiting", 0),
    }
