"""The lanes of this device: `lanes.json`, and what it means at this moment.

For: reading, checking and writing the settings of each lane; the gates that link and source ask before bytes travel.
May not: decide what a lane allows (protocol/lanes.py does) or which case is urgent (edge/urgency.py does).
Manual: docs/operating/lanes.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.clock import Clock
from edge.unsent import UNSENT_BYTES_MAX
from protocol.carriers.durable import write_durably
from protocol.chunks import CHUNK_BYTES
from protocol.errors import BadConfig, InputError
from protocol.gates import AHEAD_S, Bucket, rate_of, window_of
from protocol.lanes import TABLE, Lane, LaneSettings

LANES_NAME = "lanes.json"
LOOK_MS = 2_000  # how often a running daemon looks whether somebody has changed the file
KEYS = {"from", "to", "bytes_per_s", "batch_bytes"}
UNSENT_KEY = "unsent_bytes_max"  # of the attachments alone

log = logging.getLogger("liandong.edge.lanes")


@dataclass(frozen=True, slots=True)
class OfficeLanes:
    """All settings of a device. A content lane's rate is for both directions together; the rate of ops is for each.

    unsent_bytes_max: bytes of attachments that this office may have entered and not sent.
    """

    lanes: Mapping[Lane, LaneSettings] = field(default_factory=lambda: {lane: LaneSettings(lane) for lane in Lane})
    unsent_bytes_max: int = UNSENT_BYTES_MAX

    def __post_init__(self) -> None:
        if not 0 < self.unsent_bytes_max <= 2**40:
            raise InputError("The limit of what waits to be sent is 1 byte to 1 TiB.", "待传上限应为 1 字节至 1 TB。")

    def __getitem__(self, lane: Lane) -> LaneSettings:
        return self.lanes[lane]

    def changed(self, lane: Lane, **changes: Any) -> OfficeLanes:
        """The same with another setting of one lane. Raises InputError."""
        return replace(self, lanes={**self.lanes, lane: replace(self.lanes[lane], **changes)})

    def as_json(self) -> dict[str, Any]:
        return {"lanes": {lane: one.as_json() for lane, one in self.lanes.items()}, UNSENT_KEY: self.unsent_bytes_max}


def read_lanes(directory: Path) -> OfficeLanes:
    """The settings in `directory`; the defaults for what it does not name. Raises BadConfig."""
    path = directory / LANES_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        unknown = set(raw) - set(Lane)
        if unknown:
            raise ValueError(f"the lanes are {', '.join(Lane)}")
        most = raw.get(Lane.ATTACHMENTS, {}).get(UNSENT_KEY, UNSENT_BYTES_MAX)
        if type(most) is not int:
            raise ValueError(f"{UNSENT_KEY} is a number of bytes")
        return OfficeLanes({lane: _lane(lane, raw.get(lane, {})) for lane in Lane}, most)
    except FileNotFoundError:
        return OfficeLanes()
    except InputError as error:
        raise BadConfig(f"{path}: {error.text}", f"配置文件 {path}：{error.text_zh}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadConfig(f"{path} cannot be used: {error}.", f"配置文件 {path} 无法使用：{error}。") from error


def _lane(lane: Lane, raw: dict[str, Any]) -> LaneSettings:
    begin, end, rate, batch = raw.get("from"), raw.get("to"), raw.get("bytes_per_s", 0), raw.get("batch_bytes", 0)
    known = KEYS | ({UNSENT_KEY} if lane == Lane.ATTACHMENTS else set())
    if set(raw) - known or type(rate) is not int or type(batch) is not int or (begin is None) != (end is None):
        raise ValueError(f"the keys of {lane} are {', '.join(sorted(known))}; from and to belong together")
    return LaneSettings(lane, rate, None if begin is None else window_of(f"{begin}-{end}"), batch)


def change(
    settings: OfficeLanes,
    lane: str | None,
    *,
    rate: str | None = None,
    window: str | None = None,
    batch: int | None = None,
) -> OfficeLanes:
    """The settings with what a person wrote for one lane, attachments if none is named. Raises InputError."""
    if lane is not None and lane not in list(Lane):
        raise InputError(
            f"{lane!r} is no lane; they are {', '.join(Lane)}.", f"没有“{lane}”通道，可选：{'、'.join(Lane)}。"
        )
    changes: dict[str, Any] = {}
    if rate is not None:
        changes["bytes_per_s"] = rate_of(rate)
    if window is not None:
        changes["window"] = window_of(window)
    if batch is not None:
        changes["batch"] = batch
    if lane is not None and not changes:
        raise InputError("Name what shall change: --rate, --window or --batch.", "请写明 --rate、--window 或 --batch。")
    return settings.changed(Lane(lane or Lane.ATTACHMENTS), **changes) if changes else settings


def write_lanes(directory: Path, settings: OfficeLanes) -> None:
    """Put the settings in place, whole or not at all; a running daemon takes them over within LOOK_MS."""
    raw: dict[str, dict[str, Any]] = {}
    for lane, one in settings.lanes.items():
        entry: dict[str, Any] = {"bytes_per_s": one.bytes_per_s}
        if one.window is not None:
            entry["from"], entry["to"] = str(one.window).split("-")
        if one.batch:
            entry["batch_bytes"] = one.batch
        if lane == Lane.ATTACHMENTS:
            entry[UNSENT_KEY] = settings.unsent_bytes_max
        if one != LaneSettings(lane) or lane == Lane.ATTACHMENTS:
            raw[lane] = entry
    text = json.dumps(raw, indent=2, sort_keys=True) + "\n"
    write_durably(directory / LANES_NAME, text.encode(), mode=0o644)


@dataclass
class Lanes:
    """The gates of one line. Without a directory to follow nothing is limited.

    sent: files whose last piece was given out since the loop looked last; the loop notes them (edge/unsent.py).
    """

    clock: Clock
    settings: OfficeLanes = field(default_factory=OfficeLanes)
    sent: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.buckets = {lane: Bucket(self.settings[lane].bytes_per_s) for lane in Lane}
        self._directory: Path | None = None
        self._looked_ms, self._changed_ns = 0, -1

    def follow(self, directory: Path) -> None:
        """Take the settings from this directory, now and whenever they change."""
        self._directory = directory
        self._look(self.clock.mono_ms())

    def is_open(self, lane: Lane, mono_ms: int) -> bool:
        """Whether the lane's window is open. The wall clock of the machine decides: set it right."""
        if self._directory is not None and mono_ms - self._looked_ms >= LOOK_MS:
            self._look(mono_ms)
        window = self.settings[lane].window
        return window is None or window.holds(self.clock.now_ms())

    def ready(self, lane: Lane, mono_ms: int) -> bool:
        """Whether a piece of this lane may travel now."""
        return self.is_open(lane, mono_ms) and self.buckets[lane].ready(mono_ms)

    def spend(self, lane: Lane, size: int, mono_ms: int) -> None:
        """A piece of this size travels or has arrived."""
        self.buckets[lane].spend(size, mono_ms)

    def batch(self, lane: Lane) -> int:
        """Bytes: plain ones of an envelope of ops, or of content to ask for at once; with a rate, some seconds' worth."""
        most, rate = self.settings[lane].batch_bytes, self.rate(lane)
        return min(most, max(TABLE[lane].batch_min, rate * AHEAD_S)) if rate else most

    def rate(self, lane: Lane) -> int:
        return self.settings[lane].bytes_per_s

    def pieces(self, lane: Lane) -> int:
        """How many chunks of a content lane to ask for at once."""
        return self.batch(lane) // CHUNK_BYTES

    def use(self, settings: OfficeLanes) -> None:
        """From now on by these settings."""
        for lane in Lane:
            if settings[lane].bytes_per_s != self.settings[lane].bytes_per_s:
                self.buckets[lane] = Bucket(settings[lane].bytes_per_s)
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
            log.warning("the lanes go on as before: %s", error.text)
