"""What a reconciliation found: as an object, as JSON, as Markdown for a person, as two files in D/reports.

For: the outcome of `liandong reconcile` and its exit code.
May not: hold citizen data: cases appear by id only.
Manual: docs/operating/reconcile.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ops.clock import iso_text, local_text
from protocol.carriers.durable import PRIVATE, write_durably

REPORTS_NAME = "reports"
COLUMNS = (
    "机构 office",
    "名称 name",
    "设备 device",
    "结果 state",
    "办件 cases",
    "已清理 purged",
    "条目 ops",
    "仅县中心有 only hub",
    "仅机构有 only office",
    "起初 at first",
    "字节 bytes",
)
STATES = {"equal": "一致 equal", "different": "不一致 different", "unreachable": "未能联系 unreachable"}


@dataclass
class DeviceResult:
    """One device of an office. state: "equal", "different", "unreachable"; `repaired`: it differed at first.

    only_hub, only_office: items that only one side had in the last pass; first_*: in the first. named: what only the
    hub had, as [op, view or file; its id], at most 50. purged: concluded cases that the device has purged by its own
    signed word; they are left out of the comparison.
    """

    device: str
    office: str
    name: str
    state: str = "unreachable"
    repaired: bool = False
    last_contact_ms: int | None = None
    cases: int = 0
    purged: int = 0
    ops: int = 0
    files: int = 0
    only_hub: int = 0
    only_office: int = 0
    first_only_hub: int = 0
    first_only_office: int = 0
    rounds: int = 0
    bytes: int = 0
    named: list[list[str]] = field(default_factory=list)


@dataclass
class Report:
    """The whole of one run. `equal` only if every device of every office asked for answered and held the same."""

    county: str
    started_ms: int
    ended_ms: int = 0
    passes: int = 0
    devices: list[DeviceResult] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return all(device.state == "equal" for device in self.devices)

    def as_json(self) -> dict[str, Any]:
        """equal, offices [{office, name, equal, state, devices}], times and passes."""
        offices: dict[str, dict[str, Any]] = {}
        for device in self.devices:
            entry = offices.setdefault(
                device.office, {"office": device.office, "name": device.name, "equal": True, "devices": []}
            )
            entry["equal"] = entry["equal"] and device.state == "equal"
            entry["devices"].append(asdict(device))
        return {
            "equal": self.equal,
            "county": self.county,
            "started_at": iso_text(self.started_ms),
            "ended_at": iso_text(self.ended_ms),
            "passes": self.passes,
            "offices": list(offices.values()),
            "files": self.files,
        }

    def text(self) -> str:
        """The report as Markdown."""
        verdict = "All equal 全部一致" if self.equal else "Not proven equal 未能全部证明一致"
        lines = [
            f"# Reconciliation 对账 {self.county}",
            "",
            f"{local_text(self.started_ms)} – {local_text(self.ended_ms)}, {self.passes} 轮 passes. **{verdict}.**",
            "",
            f"| {' | '.join(COLUMNS)} |",
            f"|{'---|' * len(COLUMNS)}",
        ]
        for one in self.devices:
            first = f"{one.first_only_hub}/{one.first_only_office}" if one.repaired else ""
            state = STATES[one.state]
            if one.repaired and one.state == "equal":
                state += ", 已修复 repaired"
            if one.state == "unreachable":
                state += f" ({local_text(one.last_contact_ms)})"
            cells = [
                one.office,
                one.name,
                one.device[:8],
                state,
                one.cases,
                one.purged,
                one.ops,
                one.only_hub,
                one.only_office,
                first,
                one.bytes,
            ]
            lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
        return "\n".join(lines)


def save(report: Report, directory: Path) -> None:
    """Write the report as JSON and as Markdown into D/reports, each whole or not at all."""
    stem = directory / REPORTS_NAME / f"reconcile-{iso_text(report.started_ms)[:19].replace(':', '')}"
    report.files = [f"{stem}.json", f"{stem}.md"]
    blob = json.dumps(report.as_json(), ensure_ascii=False, indent=1).encode()
    write_durably(stem.with_suffix(".json"), blob, mode=PRIVATE)
    write_durably(stem.with_suffix(".md"), report.text().encode(), mode=PRIVATE)
