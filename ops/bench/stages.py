"""The product under the stopwatch: hub intake, edge save, fold; each by the calls that the daemons make.

For: figures to lay beside those of primitives.py from the same run.
May not: leave out what the product does (checks, folding, routing, receipts, full durability).
Source: docs/performance.md.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from pathlib import Path
from typing import Any

from ops.bench.material import NOW_MS, Author
from ops.bench.town import county_in, enrolled_authors, join_by_files, open_village
from protocol.op import Op

WARM_UP = 3  # envelopes
ENVELOPES_MIN = 10


def percentile(spent: list[float], part: float) -> float:
    """The value below which `part` of the sorted figures lie."""
    ordered = sorted(spent)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def intake(directory: Path, *, per_envelope: int, seconds: float) -> dict[str, float]:
    """From sealed bytes to durable commit and receipt, one envelope a commit, in one process: median and CPU time.

    The first envelopes are not counted: caches and pages are cold. CPU time counts all threads of the process.
    """
    from conflict.terms import terms_of
    from hub.intake import Intake
    from protocol.envelope import seal_envelope
    from protocol.messages import Ops

    with county_in(directory / f"hub-{per_envelope}") as county:
        authors = enrolled_authors(county, 20)
        terms = terms_of(county.shelf.items["JF-MZ-001"])
        hub = county.shelf.roster.device(county.keys.incarnation)
        assert hub is not None
        worker = Intake(county.store, county.keys, county.shelf, now_ms=lambda: NOW_MS + 60_000)
        spent: list[float] = []
        cpu = 0.0
        try:
            for at in itertools.count():
                author = authors[at % len(authors)]
                ops = [author.accept(terms) for _ in range(per_envelope)]
                blob = seal_envelope([Ops([op.blob for op in ops])], keys=author.keys, recipient=hub)
                begin, cpu_begin = time.perf_counter(), time.process_time()
                taken = worker.take([blob])
                elapsed, burnt = time.perf_counter() - begin, time.process_time() - cpu_begin
                if taken.stored < per_envelope or not taken.receipts:
                    raise RuntimeError(f"the hub took {taken.stored} of {per_envelope} ops: {taken.rejected[:1]}")
                if at >= WARM_UP:
                    spent.append(elapsed)
                    cpu += burnt
                if sum(spent) > seconds and len(spent) >= ENVELOPES_MIN:
                    break
        finally:
            worker.close()
    us_per_op = statistics.median(spent) / per_envelope * 1e6
    return {
        "ops_per_envelope": per_envelope,
        "ops": len(spent) * per_envelope,
        "us_per_op": us_per_op,
        "ops_per_s": 1e6 / us_per_op,
        "cpu_us_per_op": cpu / (len(spent) * per_envelope) * 1e6,
    }


def save(directory: Path, *, seconds: float) -> dict[str, float]:
    """Milliseconds from a worker's act to durable op, view and outbox row (p50, p95), at a village room's device."""
    from edge.service import Application

    with county_in(directory / "save-hub") as county:
        join_by_files(county, directory / "village")
    spent: list[float] = []
    rng = random.Random(5)
    with open_village(directory / "village") as node:
        actor = node.staff.check()
        form = Author(rng, node.config.office).form
        while sum(spent) < seconds or len(spent) < 60:
            fields = form(rng)
            name, phone = fields.pop("applicant_name"), fields.pop("applicant_phone")
            fields.pop("applicant_id")
            application = Application("JF-MZ-001", name, "420222194903120042", phone, fields)
            begin = time.perf_counter()
            node.service.accept(actor, application)
            spent.append((time.perf_counter() - begin) * 1e3)
    warm = spent[10:]
    return {"saves": len(warm), "p50_ms": percentile(warm, 0.5), "p95_ms": percentile(warm, 0.95)}


def fold_cost(*, lengths: tuple[int, ...] = (10, 100, 1_000, 10_000)) -> dict[str, Any]:
    """Microseconds of fold per op against the length of a case's history, linear and with many concurrent heads."""
    from conflict.fold import fold

    found: dict[str, Any] = {}
    for length in lengths:
        author = Author(random.Random(length), "420222107205")
        opener = author.accept()
        line: list[Op] = [opener]
        for _ in range(length - 1):
            line.append(author.status(opener.id, line[-1].id))
        fan = [opener, *(author.status(opener.id, opener.id) for _ in range(min(length, 1_001) - 1))]
        found[str(length)] = {"linear_us_per_op": _per_op(fold, line), "concurrent_us_per_op": _per_op(fold, fan)}
    return found


def _per_op(fold: Any, ops: list[Op]) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        fold(ops)
        best = min(best, time.perf_counter() - begin)
    return best / len(ops) * 1e6
