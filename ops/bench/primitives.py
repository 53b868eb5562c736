"""The raw cost of the primitives that the product is made of, and the bounds that follow from them.

For: measuring signatures, seals, packing, compression and storing with nothing of ours around them.
May not: use the product's own paths, which are what is to be judged against these figures.
Source: docs/performance.md, "Bounds".
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import zstandard

from protocol.suites import suite

DOMAIN = b"bench"
SECONDS = 0.4  # how long each primitive is repeated


def per_call_us(act: Callable[[], object], *, seconds: float = SECONDS) -> float:
    """Microseconds of one call, the best of three runs (the others measure what else the machine did)."""
    best = float("inf")
    for _ in range(3):
        calls, begin = 0, time.perf_counter()
        while (now := time.perf_counter()) - begin < seconds / 3:
            act()
            calls += 1
        best = min(best, (now - begin) / max(calls, 1))
    return best * 1e6


def crypto_us(plain: bytes) -> dict[str, float]:
    """Signing, checking, sealing and opening `plain` under suite 1, and hashing it."""
    one, seed = suite(1), b"\x07" * 32
    signing, sealing = one.signing_public(seed), one.sealing_public(seed)
    signature, sealed = one.sign(seed, DOMAIN, plain), one.seal(sealing, DOMAIN, plain)
    return {
        "sign": per_call_us(lambda: one.sign(seed, DOMAIN, plain)),
        "verify": per_call_us(lambda: one.verify(signing, DOMAIN, plain, signature)),
        "seal": per_call_us(lambda: one.seal(sealing, DOMAIN, plain)),
        "open": per_call_us(lambda: one.open(seed, DOMAIN, sealed)),
        "sha256": per_call_us(lambda: hashlib.sha256(plain).digest()),
    }


def packing_us(plain: bytes, value: object) -> dict[str, float]:
    """Packing, unpacking, compressing and decompressing."""
    packed = msgpack.packb(value, use_bin_type=True)
    compressor, decompressor = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    small = compressor.compress(plain)
    return {
        "pack": per_call_us(lambda: msgpack.packb(value, use_bin_type=True)),
        "unpack": per_call_us(lambda: msgpack.unpackb(packed, raw=False, strict_map_key=False)),
        "compress": per_call_us(lambda: compressor.compress(plain)),
        "decompress": per_call_us(lambda: decompressor.decompress(small)),
    }


def fsync_us(directory: Path) -> dict[str, float]:
    """A small append made durable, at the median and the 95th percentile; the floor under every save."""
    spent = []
    path = directory / "fsync"
    with path.open("ab", buffering=0) as out:
        for _ in range(200):
            begin = time.perf_counter()
            out.write(b"x" * 4096)
            os.fsync(out.fileno())
            spent.append((time.perf_counter() - begin) * 1e6)
    path.unlink()
    spent.sort()
    return {"p50": spent[len(spent) // 2], "p95": spent[int(len(spent) * 0.95)]}


def store_us(directory: Path, row: bytes, *, batch: int, batches: int = 40) -> float:
    """Microseconds a row (median of the commits): sqlite3 executemany, WAL, full durability, `batch` rows a commit."""
    path = directory / f"rows-{batch}.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table ops (id blob primary key, blob blob not null) without rowid")
    spent = []
    for number in range(batches):
        rows = [(hashlib.sha256(f"{number}/{at}".encode()).digest(), row) for at in range(batch)]
        begin = time.perf_counter()
        database.execute("begin immediate")
        database.executemany("insert into ops values (?, ?) on conflict do nothing", rows)
        database.execute("commit")
        spent.append(time.perf_counter() - begin)
    database.close()
    path.unlink()
    return statistics.median(spent) / batch * 1e6


def intake_bound_us(costs: dict[str, float], *, ops: int, store: float, envelope: dict[str, float]) -> float:
    """Microseconds an op that a hub cannot go below, every op's signature checked, `ops` ops an envelope.

    Open and check the envelope once, decompress and decode it once, hash and check each op, store all in one commit.
    Args:    costs: of one op. envelope: of one envelope of so many ops. store: a row at that batch size.
    """
    once = envelope["open"] + envelope["verify"] + envelope["decompress"] + envelope["unpack"]
    return once / ops + costs["verify"] + costs["sha256"] + store
