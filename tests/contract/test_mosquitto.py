"""The manual's configuration on a real Mosquitto: TLS, restarts, and that the manual shows what the program writes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.broker_accounts import hash_password, new_password
from ops.broker.mosquitto import Tls, acl_text, mosquitto_config
from protocol import topics
from protocol.carriers.mqtt import MqttCarrier
from tests.support.brokers import AS_US, Broker, HardenedMosquitto, find_mosquitto
from tests.support.carriers import SPACE, carrier, offer, online, quick, receive, until
from tests.support.process import ROOT, free_port
from tests.support.tls import Certificates, make_certificates

UP, DOWN = topics.up(SPACE, "device-a"), topics.down(SPACE, "device-a")


class TlsMosquitto(HardenedMosquitto):
    """Both listeners of the manual; `tls_port` is the one for devices."""

    def __init__(self, directory: Path) -> None:
        self.tls_port = free_port()
        self.certificates = make_certificates(directory / "tls")
        super().__init__(directory)

    def config_text(self) -> str:
        super().config_text()
        tls = Tls(self.tls_port, self.certificates.certificate, self.certificates.key)
        return mosquitto_config(self.directory, port=self.port, tls=tls) + "log_type information\n" + AS_US


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[TlsMosquitto]:
    find_mosquitto()
    (tmp_path / "d").mkdir()
    broker = TlsMosquitto(tmp_path / "d")
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def over_tls(broker: TlsMosquitto, password: str, authority: Path, host: str = "127.0.0.1") -> MqttCarrier:
    return MqttCarrier(
        f"mqtts://{host}:{broker.tls_port}", client_id="device-a", username="device-a", password=password,
        subscriptions=[DOWN], ca_file=authority, delays=quick,
    )  # fmt: skip


def test_device_over_tls_hub_beside_the_broker(tls_broker: TlsMosquitto) -> None:
    hub = carrier(tls_broker, topics.HUB_USER)
    device = over_tls(tls_broker, tls_broker.account("device-a"), tls_broker.certificates.authority)
    try:
        online(hub, device)
        assert offer(device, UP, hub) == [] == offer(hub, DOWN, device)
    finally:
        hub.stop(0)
        device.stop(0)


def test_a_broker_that_cannot_prove_who_it_is_gets_no_password(tls_broker: TlsMosquitto, tmp_path: Path) -> None:
    other: Certificates = make_certificates(tmp_path / "other")
    device = over_tls(tls_broker, tls_broker.account("device-a"), other.authority)
    device.start()
    try:
        until(lambda: "CERTIFICATE_VERIFY_FAILED" in device.reason or "certificate" in device.reason, "it says why")
        assert device.generation == 0
        assert "device-a" not in tls_broker.proc.output()
    finally:
        device.stop(0)


def test_queues_and_rules_outlive_a_restart(mosquitto_hardened: Broker) -> None:
    """SIGTERM writes the queues; the rules hold for machines that have not come back yet."""
    hub, device = carrier(mosquitto_hardened, topics.HUB_USER), carrier(mosquitto_hardened, "device-a")
    try:
        online(hub, device)
        device.stop()
        hub.publish(DOWN, b"before")
        until(lambda: hub.counters.acknowledged == 1, "the broker has it")
        mosquitto_hardened.restart()
        until(lambda: hub.generation == 2, "the hub is back")
        hub.publish(DOWN, b"after")
        until(lambda: hub.counters.acknowledged == 2, "the broker has it")
        device.start()
        assert receive(device, 2) == [b"before", b"after"]
    finally:
        hub.stop(0)
        device.stop(0)


def test_more_than_a_thousand_wait_for_one_machine(mosquitto_hardened: Broker) -> None:
    """Mosquitto's default would keep 1,000 and drop the rest in silence."""
    hub = carrier(mosquitto_hardened, topics.HUB_USER, outbox_limit=5_000)
    device = carrier(mosquitto_hardened, "device-a", inbox_limit=5_000)
    try:
        online(hub, device)
        device.stop()
        for number in range(1_500):
            assert hub.publish(DOWN, b"%d" % number)
        until(lambda: hub.counters.acknowledged == 1_500, "the broker has them")
        device.start()
        assert receive(device, 1_500) == [b"%d" % number for number in range(1_500)]
    finally:
        hub.stop(0)
        device.stop(0)


def test_our_hashes_are_mosquittos_own(tmp_path: Path) -> None:
    """mosquitto_passwd reads a file of ours and leaves our line as it is."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed (apt-get install mosquitto)")
    file, line = tmp_path / "passwords", f"device-a:{hash_password(new_password())}"
    file.write_text(line + "\n")
    subprocess.run([program, "-b", file, "other", "some-password"], check=True, capture_output=True)
    assert file.read_text().splitlines()[0] == line
    assert file.read_text().splitlines()[1].startswith("other:$7$101$")


def test_the_manual_shows_what_the_program_writes() -> None:
    manual = (ROOT / "docs/operating/broker.md").read_text("utf-8")
    etc = Path("/etc/liandong/tls")
    config = mosquitto_config(Path("/var/lib/liandong/hub"), tls=Tls(8883, etc / "server.crt", etc / "server.key"))
    assert f"```\n{config}```" in manual
    assert f"```\n{acl_text()}```" in manual
