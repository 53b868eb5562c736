"""Memory and CPU of a process, as Linux tells it under /proc; nothing elsewhere.

For: the hub and the broker from outside, while they work.
May not: disturb what is measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
KIB = 1024


def rss_bytes(pid: int) -> int | None:
    """Resident memory now, in bytes; None where the system does not tell or the process has ended."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    return None


def cpu_s(pid: int) -> float | None:
    """Seconds of CPU that all its threads have used; None as above."""
    try:
        cells = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Gauge:
    """One process under observation. Bytes and seconds; None where the system does not tell."""

    pid: int
    rss_start: int | None = None
    rss_peak: int | None = None
    cpu_start: float | None = None
    cpu_last: float | None = None
    seen: list[tuple[float, int, float]] = field(default_factory=list)  # (second, resident bytes, CPU s since start)

    def begin(self) -> None:
        self.rss_start = self.rss_peak = rss_bytes(self.pid)
        self.cpu_start = self.cpu_last = cpu_s(self.pid)

    def look(self, second: float) -> None:
        """Once a second or so; the peak is the highest of the looks."""
        rss, cpu = rss_bytes(self.pid), cpu_s(self.pid)
        if rss is None or cpu is None or self.rss_peak is None or self.cpu_start is None:
            return
        self.rss_peak, self.cpu_last = max(self.rss_peak, rss), cpu
        self.seen.append((second, rss, cpu - self.cpu_start))

    @property
    def cpu(self) -> float | None:
        """Seconds of CPU since `begin`."""
        return None if self.cpu_last is None or self.cpu_start is None else self.cpu_last - self.cpu_start

    def cpu_until(self, second: float) -> float | None:
        """Seconds of CPU from `begin` to about this second of the run."""
        known = [cpu for at, _rss, cpu in self.seen if at <= second]
        return known[-1] if known else None
