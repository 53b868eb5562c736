"""What the deadline tests share: civil time in, and the calendar published for 2018, 2025 and 2026."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from conflict.calendar import Calendar

VECTORS = Path(__file__).parents[2] / "vectors" / "deadline"
CONTENT: dict[str, Any] = json.loads((VECTORS / "_calendar.json").read_text(encoding="utf-8"))
CALENDAR = Calendar.from_content(CONTENT, 7)
ZONE = timezone(timedelta(hours=8))
FORMATS = {16: "%Y-%m-%d %H:%M", 19: "%Y-%m-%d %H:%M:%S"}


def ms(text: str) -> int:
    """Civil time of the county, such as 2026-03-02 10:00, as ms since 1970 UTC."""
    civil = datetime.strptime(text, FORMATS[len(text)]).replace(tzinfo=ZONE)
    return round((civil - datetime(1970, 1, 1, tzinfo=ZONE)).total_seconds()) * 1000 - 8 * 3_600_000


def instants(value: Any) -> Any:
    """The same facts with every `*_ms` that is written as civil time turned into ms."""
    if isinstance(value, list):
        return [instants(item) for item in value]
    if isinstance(value, dict):
        return {
            key: ms(item) if key.endswith("_ms") and isinstance(item, str) else instants(item)
            for key, item in value.items()
        }
    return value


def text_of(instant_ms: int) -> str:
    """The other way round; seconds only where there are some."""
    civil = datetime(1970, 1, 1, tzinfo=ZONE) + timedelta(milliseconds=instant_ms + 8 * 3_600_000)
    return civil.strftime(FORMATS[19] if civil.second else FORMATS[16])


def examples(*, factor: int = 1) -> settings:
    """How many examples a property gets: a fast default, a nightly size by LIANDONG_EXAMPLES."""
    count = int(os.environ.get("LIANDONG_EXAMPLES", "60"))
    return settings(max_examples=count * factor, deadline=None, suppress_health_check=[HealthCheck.too_slow])
