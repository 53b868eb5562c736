"""Fixtures that every test may ask for; they live in tests/support/."""

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
