"""Fixtures that every test may ask for (they live in tests/support/), and a stop that leaves no process behind."""

import signal

from tests.support.brokers import any_broker, embedded_broker, mosquitto, mosquitto_hardened, strict_broker
from tests.support.database import postgres_cluster, postgres_url

__all__ = [
    "any_broker",
    "embedded_broker",
    "mosquitto",
    "mosquitto_hardened",
    "postgres_cluster",
    "postgres_url",
    "strict_broker",
]


def pytest_sessionstart() -> None:
    """SIGTERM ends a run as Ctrl-C does: fixtures are torn down, so brokers and daemons of a cut-off run end too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
