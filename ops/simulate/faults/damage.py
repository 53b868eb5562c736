"""Pages of a store that are gone: an office's machine comes up with some of them zeros.

For: damage that the database itself can see, in the store's own pages or among its ops; what the rebuild took over.
May not: damage the hub's store (it refuses to start and is put back from a backup: identities.py); count as lost what
could not be read.
Manual: docs/operating/drills.md, "Damaged store".
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ops.simulate import raw
from ops.simulate.edge_node import EdgeMachine
from ops.simulate.faults.fault import Fault, busy, one_edge
from ops.simulate.world import HOUR, MINUTE

if TYPE_CHECKING:
    from ops.simulate.simulation import Simulation

PAGE_BYTES_AT = 16  # where a SQLite file says how large its pages are
INNER = 5  # the first byte of an inner page of a table; source: sqlite.org/fileformat2.html, 1.6
AMONG_OPS = 0.6  # share of damages that hit a page of ops


def _page_damaged(sim: Simulation, span_ms: int) -> None:
    """An office's machine is switched off; when it is switched on, pages of its store are nothing but zeros."""
    victim = one_edge(sim)
    busy(sim, [victim], span_ms, acts=4)
    sim.world.at(span_ms, _harm, sim, victim)


def _harm(sim: Simulation, victim: EdgeMachine) -> None:
    if victim.gone or sim.healing or not victim.up or victim.disk.full or victim.disk.read_only:
        return
    sim.book.look_at(victim, told=False)
    victim.stop()
    victim.clock.boot()
    sound = victim.copy_store("sound")
    _lose_pages(sim, victim.store_path)
    readable = raw.readable_ops(victim.store_path)
    victim.start()
    wrong = raw.damage(victim.store_path)
    if wrong:
        sim.problems.append(f"lost: {victim.name} is left with a damaged store: {wrong}")
        victim.stop()
        victim.put_store_back(sound)
        victim.start()
    for op_id in sorted(readable - raw.op_ids(victim.store_path)):
        sim.problems.append(f"lost: {victim.name} rebuilt its store without op {op_id.hex()[:12]}, which could be read")
    sim.world.note("damaged", victim.name, sim.book.fell_back(victim))


def _lose_pages(sim: Simulation, store: Path) -> None:
    """One page after the other, until the database itself would see that something is wrong."""
    with store.open("r+b") as file:
        file.seek(PAGE_BYTES_AT)
        size = int.from_bytes(file.read(2), "big")
        numbers = list(range(2, store.stat().st_size // size + 1))
        sim.world.rng.shuffle(numbers)
        if sim.world.chance(AMONG_OPS):
            numbers.append(sim.world.rng.choice(_pages_of_ops(store, size)))
        while numbers and not raw.damage(store):
            file.seek((numbers.pop() - 1) * size)
            file.write(bytes(size))
            file.flush()


def _pages_of_ops(store: Path, size: int) -> list[int]:
    """Numbers of the pages right below the root of the table of ops, or of the root."""
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        root = int(db.execute("select rootpage from sqlite_schema where name = 'ops'").fetchone()[0])
    with store.open("rb") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
    if page[0] != INNER:
        return [root]
    starts = [
        int.from_bytes(page[at : at + 2], "big") for at in range(12, 12 + 2 * int.from_bytes(page[3:5], "big"), 2)
    ]
    return [int.from_bytes(page[at : at + 4], "big") for at in (*starts, 8)]


DAMAGE = (Fault("page_damaged", "pages of an edge's store are gone", (20 * MINUTE, 8 * HOUR), _page_damaged),)
