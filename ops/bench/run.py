"""`liandong bench`: all measurements in one run, with the bounds that the same run's primitives give.

For: one JSON document; docs/performance.md records such a run.
May not: judge: targets stand in docs/performance.md, and no test fails for a slow machine.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from ops.bench import primitives, stages, wire
from ops.bench.material import Author
from protocol.errors import InputError

PARTS = ("primitives", "wire", "save", "intake", "fold")
BATCHES = (1, 10, 50)


def measure(*, seconds: float, only: list[str], directory: Path | None) -> dict[str, Any]:
    """Run the chosen parts (all if none is named) on the disk of `directory`. Raises InputError for an unknown part."""
    unknown = sorted(set(only) - set(PARTS))
    if unknown:
        raise InputError(
            f"There is no part {unknown[0]!r}; choose of {', '.join(PARTS)}.", f"没有“{unknown[0]}”这一项。"
        )
    chosen = only or list(PARTS)
    result: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(dir=directory, prefix="liandong-bench-") as name:
        room = Path(name)
        if "primitives" in chosen or "intake" in chosen:
            result["primitives"] = _primitives(room)
        if "wire" in chosen:
            result["wire"] = {
                words: [wire.exchange_bytes(count, words=words) for count in BATCHES] for words in ("trained", "fresh")
            }
        if "save" in chosen:
            fsync = primitives.fsync_us(room)
            saved = stages.save(room, seconds=seconds)
            result["save"] = {
                **saved,
                "fsync_p95_ms": fsync["p95"] / 1e3,
                "p95_over_fsync_ms": saved["p95_ms"] - fsync["p95"] / 1e3,
            }
        if "intake" in chosen:
            result["intake"] = [_intake(room, result["primitives"], batch, seconds) for batch in BATCHES]
        if "fold" in chosen:
            result["fold"] = stages.fold_cost()
    return result


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {"python": sys.version.split()[0], "system": platform.platform(), "cores": os.cpu_count()}


def _primitives(room: Path) -> dict[str, Any]:
    author = Author(random.Random(1), "420222107205")
    op = author.accept()
    batch = [author.accept().blob for _ in range(50)]
    return {
        "op_us": {**primitives.crypto_us(op.blob), **primitives.packing_us(op.blob, dict(op.body))},
        "envelope_of_50_us": {
            **primitives.crypto_us(b"".join(batch)[:20_000]),
            **primitives.packing_us(b"".join(batch), batch),
        },
        "fsync_us": primitives.fsync_us(room),
        "store_us_per_row": {str(size): primitives.store_us(room, op.blob, batch=size) for size in BATCHES},
    }


def _intake(room: Path, costs: dict[str, Any], batch: int, seconds: float) -> dict[str, Any]:
    measured = stages.intake(room, per_envelope=batch, seconds=seconds)
    envelope = costs["envelope_of_50_us"] if batch == 50 else costs["op_us"]
    bound = primitives.intake_bound_us(
        costs["op_us"], ops=batch, store=costs["store_us_per_row"][str(batch)], envelope=envelope
    )
    return {**measured, "bound_us_per_op": bound, "share_of_bound": bound / measured["us_per_op"]}
