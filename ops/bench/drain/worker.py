"""The process of simulated devices: makes their ops, waits for the line to come back, tells what happened.

For: `python -m ops.bench.drain.worker PLAN`: one JSON document a line on stdout; `go` and `end` on stdin.
May not: begin to measure before all is prepared.
Manual: docs/performance.md, "After an outage".
"""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.bench.drain.cases import history
from ops.bench.drain.edges import Edge, Held, Tally, serve
from ops.bench.material import Author
from protocol.trust import HubCard, Trust

TELL_EVERY = 10  # devices


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def prepare(plan: dict[str, Any]) -> list[Edge]:
    """The devices of the plan with their histories signed. The same seed gives the same keys as at their enrolment."""
    trust = Trust.of(HubCard.from_bytes(bytes.fromhex(plan["card"])))
    edges = []
    for at, one in enumerate(plan["devices"], start=1):
        author = Author(random.Random(one["seed"]), one["office"])
        ops = history(author, plan["ops"], above=one["above"], terms=plan["terms"], urgent=one["urgent"])
        urgent = sum(op.case == ops[0].id for op in ops) if one["urgent"] else 0
        held = Held([(op.id, op.blob) for op in ops], plan["documents"], urgent, Tally(), bytes.fromhex(plan["epoch"]))
        edges.append(Edge(author.keys, held, trust, broker=plan["broker"], password=one["password"]))
        if at % TELL_EVERY == 0:
            tell(prepared=at)
    return edges


def main(path: Path) -> None:
    plan = json.loads(path.read_text("utf-8"))
    edges = prepare(plan)
    gc.collect()
    gc.freeze()  # what was prepared stays; the collector need not look at it again
    blobs = [blob for edge in edges for _id, blob in edge.held.ops]
    tell(ready=len(edges), op_bytes=sum(map(len, blobs)))
    sys.stdin.readline()
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.readline()  # `end`, or nothing when whoever started us is gone
        ended.set()

    threading.Thread(target=listen, daemon=True).start()

    def say() -> None:
        tell(
            settled=sum(edge.tally.settled for edge in edges),
            done=sum(edge.tally.done_ms is not None for edge in edges),
            waits=sum(edge.waits for edge in edges),
            down=sum(edge.tally.messages_down for edge in edges),
        )

    serve(edges, jitter_ms=plan["jitter_ms"], say=say, ended=ended.is_set)
    tell(result=[asdict(edge.tally) for edge in edges])
    for edge in edges:
        threading.Thread(target=edge.carrier.stop, args=(0.0,), daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
