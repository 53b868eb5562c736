"""What a drain showed: who was done when, what it cost, as one document and as text for people.

For: figures from the devices' tallies and the gauges; a histogram of completion times.
May not: measure.
Manual: docs/performance.md, "After an outage".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ops import output
from ops.bench.drain.county import Machine
from ops.bench.drain.gauge import Gauge
from ops.bench.stages import percentile
from ops.bench.wire import on_the_line

BARS = 15  # lines of the histogram
WIDTH = 50  # characters of its longest bar
MIB = 2**20


def spread(times_ms: Sequence[int | None]) -> dict[str, Any]:
    """Fastest, median, p95 and slowest in seconds, and slowest over fastest; `missing` did not come to an end."""
    known = sorted(one / 1000 for one in times_ms if one is not None)
    missing = len(times_ms) - len(known)
    if not known:
        return {"count": 0, "missing": missing}
    return {
        "count": len(known),
        "missing": missing,
        "fastest_s": known[0],
        "median_s": percentile(known, 0.5),
        "p95_s": percentile(known, 0.95),
        "slowest_s": known[-1],
        "slowest_over_fastest": known[-1] / max(known[0], 0.001),
    }


def summary(
    machines: Sequence[Machine],
    results: Sequence[dict[str, Any]],
    gauges: dict[str, Gauge],
    followed: dict[str, Any],
    raw: dict[str, float],
    *,
    total: int,
) -> dict[str, Any]:
    """The figures. machines and results in the same order."""
    pairs = list(zip(machines, results, strict=True))
    settled = sum(one["settled"] for one in results)
    slowest_ms = max((one["done_ms"] for one in results if one["done_ms"] is not None), default=0)
    whole_s = slowest_ms / 1000 if followed["finished"] else followed["streams_s"]
    payloads = [(one["messages_up"], one["bytes_up"], one["messages_down"], one["bytes_down"]) for one in results]
    up, bytes_up, down, bytes_down = (sum(column) for column in zip(*payloads, strict=True))
    line = (up + down) * on_the_line(0) + bytes_up + bytes_down  # segments beyond the first add under 3 %
    hub_cpu = gauges["hub"].cpu_until(whole_s)
    return {
        "finished": followed["finished"],
        "settled": settled,
        "all_receipts_s": whole_s,
        "streams_quiet_s": followed["streams_s"],
        "ops_per_s": settled / whole_s if whole_s else 0.0,
        "bound": raw,
        "share_of_bound": settled / whole_s / raw["ops_per_s"] if whole_s else 0.0,
        "all": spread([one["done_ms"] for one in results]),
        "urgent_offices": spread([one["done_ms"] for machine, one in pairs if machine.urgent]),
        "urgent_cases": spread([one["urgent_done_ms"] for machine, one in pairs if machine.urgent]),
        "by_level": {
            level: spread([one["done_ms"] for machine, one in pairs if len(machine.office) == length])
            for level, length in (("county", 6), ("township", 9), ("village", 12))
        },
        "first_receipt": spread([one["first_ms"] for one in results]),
        "told_to_come_later": {
            "times": sum(one["told_later"] for one in results),
            "machines": sum(one["told_later"] > 0 for one in results),
            "longest_s": max(one["wait_ms_max"] for one in results) / 1000,
        },
        "offered_per_op": sum(one["offered"] for one in results) / total,
        "greetings": sum(one["greetings"] for one in results),
        "connections": sum(one["connects"] for one in results),
        "up": {"messages": up, "bytes": bytes_up},
        "down": {"messages": down, "bytes": bytes_down, "stream_items": sum(one["stream_items"] for one in results)},
        "line_bytes_per_op": line / total,
        "hub": {
            **_memory(gauges["hub"]),
            "cpu_s": hub_cpu,
            "cpu_share": hub_cpu / whole_s if hub_cpu is not None and whole_s else None,
            "cpu_us_per_op": hub_cpu / settled * 1e6 if hub_cpu is not None and settled else None,
            "cpu_share_of_bound": (
                (raw["verify_cpu_us"] + raw["store_cpu_us"]) * settled / hub_cpu / 1e6 if hub_cpu else None
            ),
        },
        "broker_process": {**_memory(gauges["broker"]), "cpu_s": gauges["broker"].cpu},
        "devices_cpu_s": sum(gauge.cpu or 0.0 for name, gauge in gauges.items() if name.startswith("devices")),
        "done_s": sorted(one["done_ms"] / 1000 for one in results if one["done_ms"] is not None),
        "refused": sum(one["refused"] for one in results),
        "waiting": sum(one["waiting"] for one in results),
    }


def _memory(gauge: Gauge) -> dict[str, float | None]:
    start, peak = gauge.rss_start, gauge.rss_peak
    return {
        "rss_start_mib": None if start is None else start / MIB,
        "rss_peak_mib": None if peak is None else peak / MIB,
    }


def text(found: dict[str, Any]) -> str:
    """For people: what happened in a few lines, the spread by group, a histogram."""
    store, later = found["store"], found["told_to_come_later"]
    lines = [
        f"{found['machines']} machines of {found['offices']} offices, {found['ops_each']} ops each, broker {found['broker']}",
        f"all receipts at their machines after {found['all_receipts_s']:.1f} s: {found['ops_per_s']:.0f} ops/s, "
        f"{found['share_of_bound']:.2f} of what signatures and storing alone allow on a core by the clock, "
        f"{_number(found['hub']['cpu_share_of_bound'], 2)} in CPU time"
        if found["finished"]
        else f"time ran out: {found['settled']} ops have receipts",
        f"stored {store['stored']}, lost {store['lost']}, doubled {store['doubled']}, refused {store['refused']}, "
        f"waiting {store['waiting']}",
        "",
        output.table(["who", "count", "fastest s", "median s", "p95 s", "slowest s", "slowest/fastest"], _rows(found)),
        "",
        "machines done, by seconds:",
        *histogram(found["done_s"]),
        "",
        f"hub: {_mib(found['hub'])}, CPU {_number(found['hub']['cpu_s'])} s "
        f"({_number(found['hub']['cpu_share'], 2)} of the time, {_number(found['hub']['cpu_us_per_op'])} µs an op)",
        f"broker: {_mib(found['broker_process'])}, CPU {_number(found['broker_process']['cpu_s'])} s; "
        f"devices: CPU {found['devices_cpu_s']:.0f} s",
        f"told to come later: {later['times']} times, {later['machines']} machines, longest {later['longest_s']:.0f} s",
        f"each op was offered {found['offered_per_op']:.2f} times; {found['greetings']} greetings, "
        f"{found['connections']} connections",
        f"up {found['up']['messages']} messages, {found['up']['bytes'] / MIB:.1f} MiB; down {found['down']['messages']} messages, "
        f"{found['down']['bytes'] / MIB:.1f} MiB; {found['line_bytes_per_op']:.0f} bytes an op on the lines",
        f"streams quiet after {found['streams_quiet_s']:.1f} s",
    ]
    return "\n".join(lines)


def _rows(found: dict[str, Any]) -> list[list[object]]:
    groups = [
        ("all", found["all"]),
        ("offices with urgent cases", found["urgent_offices"]),
        ("their urgent cases", found["urgent_cases"]),
        *found["by_level"].items(),
        ("first receipt", found["first_receipt"]),
    ]
    keys = ("fastest_s", "median_s", "p95_s", "slowest_s", "slowest_over_fastest")
    return [
        [name, group["count"], *(round(group[key], 1) if key in group else None for key in keys)]
        for name, group in groups
    ]


def histogram(times_s: Sequence[float]) -> list[str]:
    """One line for each span of time, its bar as long as many were done in it."""
    if not times_s:
        return ["  (none)"]
    span = max(max(times_s) / BARS, 0.1)
    counts = [0] * BARS
    for one in times_s:
        counts[min(BARS - 1, int(one / span))] += 1
    most = max(counts)
    return [
        f"  {at * span:6.1f} - {(at + 1) * span:6.1f}  {count:4d}  {'#' * round(count / most * WIDTH)}"
        for at, count in enumerate(counts)
    ]


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _mib(one: dict[str, Any]) -> str:
    return f"{_number(one['rss_start_mib'])} MiB at the start, {_number(one['rss_peak_mib'])} MiB at most"
