"""What a city platform is started with.

For: one frozen value that the server, the routes and the store share.
May not: read files, the environment or a clock.
Spec: docs/protocol/city.md, "Running".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Automatic = Literal["none", "grant", "deny", "return"]
AUTOMATIC: tuple[Automatic, ...] = ("none", "grant", "deny", "return")


@dataclass(frozen=True, slots=True)
class CitySettings:
    """directory: where the platform keeps its store. token: the bearer token of the county and of the operator.

    office: code of the city, 4 digits; it starts every receipt number.
    automatic: what happens to a case by itself `delay_ms` milliseconds after its receipt ("none": an operator decides).
    """

    directory: Path
    token: str
    office: str = "4202"
    automatic: Automatic = "none"
    delay_ms: int = 0
