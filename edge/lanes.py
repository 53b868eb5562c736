"""The attachment lane of this device: `lanes.json`, and what it means at this moment.

For: reading, checking and writing the settings; the gate that link and source ask before an attachment's bytes travel.
May not: stop ops, receipts or documents; count anything but attachments.
Manual: docs/operating/attachments.md, "Lane".
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.unsent import UNSENT_BYTES_MAX
from protocol.carriers.durable import write_durably
from protocol.errors import BadConfig, InputError
from protocol.lanes import ALWAYS, RATE_MAX, Bucket, Window, window_of

LANES_NAME = "lanes.json"
LOOK_MS = 2_000  # how often a running daemon looks whether somebody has changed the file

log = logging.getLogger("liandong.edge.lanes")


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """bytes_per_s: of attachments in both directions together, 0 is no limit; window: None is always; unsent_bytes_max:
    what this office may have entered and not sent."""

    bytes_per_s: int = 0
    window: Window | None = None
    unsent_bytes_max: int = UNSENT_BYTES_MAX

    def __post_init__(self) -> None:
        if not 0 <= self.bytes_per_s <= RATE_MAX or not 0 < self.unsent_bytes_max <= 2**40:
            raise InputError(
                f"The rate is 0 (no limit) to {RATE_MAX} bytes a second, the limit of what waits 1 byte to 1 TiB.",
                f"速率应为 0（不限）至 {RATE_MAX} 字节每秒，待传上限应为 1 字节至 1 TB。",
            )

    def as_json(self) -> dict[str, Any]:
        return {
            "bytes_per_s": self.bytes_per_s,
            "window": str(self.window) if self.window else ALWAYS,
            "unsent_bytes_max": self.unsent_bytes_max,
        }


def read_lanes(directory: Path) -> LaneSettings:
    """The settings in `directory`; the defaults where there is no file. Raises BadConfig."""
    path = directory / LANES_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))["attachments"]
        begin, end, rate = raw.get("from"), raw.get("to"), raw.get("bytes_per_s", 0)
        most = raw.get("unsent_bytes_max", UNSENT_BYTES_MAX)
        known = {"from", "to", "bytes_per_s", "unsent_bytes_max"}
        if set(raw) - known or type(rate) is not int or type(most) is not int or (begin is None) != (end is None):
            raise ValueError(f"the keys are {', '.join(sorted(known))}; from and to belong together")
        return LaneSettings(rate, None if begin is None else window_of(f"{begin}-{end}"), most)
    except FileNotFoundError:
        return LaneSettings()
    except InputError as error:
        raise BadConfig(f"{path}: {error.text}", f"配置文件 {path}：{error.text_zh}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadConfig(f"{path} cannot be used: {error}.", f"配置文件 {path} 无法使用：{error}。") from error


def write_lanes(directory: Path, settings: LaneSettings) -> None:
    """Put the settings in place, whole or not at all; a running daemon takes them over within LOOK_MS."""
    attachments: dict[str, Any] = {
        "bytes_per_s": settings.bytes_per_s,
        "unsent_bytes_max": settings.unsent_bytes_max,
    }
    if settings.window is not None:
        attachments["from"], attachments["to"] = str(settings.window).split("-")
    text = json.dumps({"attachments": attachments}, indent=2, sort_keys=True) + "\n"
    write_durably(directory / LANES_NAME, text.encode(), mode=0o644)


@dataclass
class AttachmentLane:
    """The gate of one line. Without a directory to follow nothing is limited.

    sent: files whose last piece was given out since the loop looked last; the loop notes them (edge/unsent.py).
    """

    clock: Clock
    settings: LaneSettings = field(default_factory=LaneSettings)
    sent: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.settings.bytes_per_s)
        self._directory: Path | None = None
        self._looked_ms, self._changed_ns = 0, -1

    def follow(self, directory: Path) -> None:
        """Take the settings from this directory, now and whenever they change."""
        self._directory = directory
        self._look(self.clock.mono_ms())

    def is_open(self, mono_ms: int) -> bool:
        """Whether the window is open. The wall clock of the machine decides: set it right."""
        if self._directory is not None and mono_ms - self._looked_ms >= LOOK_MS:
            self._look(mono_ms)
        return self.settings.window is None or self.settings.window.holds(self.clock.now_ms())

    def ready(self, mono_ms: int) -> bool:
        """Whether a piece may travel now."""
        return self.is_open(mono_ms) and self.bucket.ready(mono_ms)

    def spend(self, size: int, mono_ms: int) -> None:
        """A piece of this size travels or has arrived."""
        self.bucket.spend(size, mono_ms)

    def use(self, settings: LaneSettings) -> None:
        """From now on by these settings."""
        if settings.bytes_per_s != self.settings.bytes_per_s:
            self.bucket = Bucket(settings.bytes_per_s)
        self.settings = settings

    def _look(self, mono_ms: int) -> None:
        assert self._directory is not None  # the callers have looked
        self._looked_ms = mono_ms
        path = self._directory / LANES_NAME
        changed_ns = path.stat().st_mtime_ns if path.exists() else 0
        if changed_ns == self._changed_ns:
            return
        self._changed_ns = changed_ns
        try:
            self.use(read_lanes(self._directory))
        except BadConfig as error:
            log.warning("the lane goes on as before: %s", error.text)
