"""Real brokers for tests, each a process with a life of its own: stop it, kill it, bring it back on the same port.

For: the embedded broker, Mosquitto as it comes (open, its own defaults), Mosquitto with the configuration of the manual.
May not: pretend: where Mosquitto is not installed, its tests are skipped with a message.

`broker.directory` plays the hub's directory D: accounts that a hub or a command writes to `D/broker/passwords` work a
moment later, as the systemd units of the manual arrange it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.broker_accounts import new_password, passwords_path, write_password
from ops.broker.mosquitto import acl_text, mosquitto_config
from tests.support.process import PATIENCE_S, ROOT, Proc, free_port

KINDS = ("embedded", "mosquitto", "mosquitto_hardened")
RELOAD_EVERY_S = 0.05
SERVE = """
import sys
from pathlib import Path
from ops.broker.embedded import run_broker
run_broker(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), lambda port: print("listens", flush=True))
"""


class Broker:
    """One broker on one port of the loopback address, over one directory."""

    kind = ""
    checks_accounts = True  # False for a broker that lets everybody do everything

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.proc = Proc(self.command(), log=directory / f"{self.kind}.log", cwd=ROOT)

    @property
    def url(self) -> str:
        """`mqtt://127.0.0.1:port`, without an account."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> Broker:
        self.proc.start()
        self.proc.wait_port(self.port)
        return self

    def stop(self) -> int:
        """SIGTERM. The exit status."""
        return self.proc.terminate()

    def kill(self) -> None:
        """SIGKILL: whatever it acknowledged and did not write is gone."""
        self.proc.kill()

    def restart(self, *, kill: bool = False) -> None:
        """Down and up again on the same port with the same directory."""
        self.kill() if kill else self.stop()
        self.start()

    def account(self, user: str) -> str:
        """A new account; its password. It works when this returns."""
        password = new_password()
        write_password(self.directory, user, password)
        return password


class EmbeddedBroker(Broker):
    """Ours, in a process of its own."""

    kind = "embedded"

    def command(self) -> list[str]:
        return [sys.executable, "-c", SERVE, str(self.directory), str(self.port)]

    def start(self) -> Broker:
        self.proc.start()
        self.proc.wait_line("listens")
        return self


class Mosquitto(Broker):
    """Mosquitto as Debian starts it: its own defaults, persistence on, everybody may do everything."""

    kind = "mosquitto"
    checks_accounts = False

    def command(self) -> list[str]:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self.config_text())
        return [find_mosquitto(), "-c", str(self.config)]

    @property
    def config(self) -> Path:
        return self.directory / "broker" / "mosquitto.conf"

    def config_text(self) -> str:
        return f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {self.config.parent}/\n{AS_US}"


class HardenedMosquitto(Mosquitto):
    """Mosquitto with the manual's configuration: accounts, default deny, client id taken from the user name."""

    kind = "mosquitto_hardened"
    checks_accounts = True

    def config_text(self) -> str:
        passwords = passwords_path(self.directory)
        passwords.touch()
        (passwords.parent / "acl").write_text(acl_text())
        return mosquitto_config(self.directory, port=self.port) + "log_type information\n" + AS_US

    def start(self) -> Broker:
        seen = passwords_path(self.directory).stat().st_mtime_ns
        super().start()
        self.proc.wait_line("running")  # it minds signals only now
        threading.Thread(target=self._reload_on_change, args=[seen], name="broker-reload", daemon=True).start()
        return self

    def account(self, user: str) -> str:
        before = self._reloads()
        password = super().account(user)
        end = time.monotonic() + PATIENCE_S
        while self._reloads() == before:
            assert time.monotonic() < end, "Mosquitto did not reload"
            time.sleep(0.01)
        return password

    def _reloads(self) -> int:
        return self.proc.output().count("Reloading config")

    def _reload_on_change(self, seen: int) -> None:
        """What `liandong-broker.path` does in production: SIGHUP when the password file was replaced."""
        pid, path = self.proc.pid, passwords_path(self.directory)
        while self.proc.alive and self.proc.pid == pid:
            now = path.stat().st_mtime_ns
            if now != seen:
                seen = now
                self.proc.signal(signal.SIGHUP)
            time.sleep(RELOAD_EVERY_S)


_CLASSES = {broker.kind: broker for broker in (EmbeddedBroker, Mosquitto, HardenedMosquitto)}
AS_US = "user root\n" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""  # else it may not read our files


def find_mosquitto() -> str:
    """The program; skips the test where there is none."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("Mosquitto is not installed (apt-get install mosquitto)")
    return found


def make_broker(kind: str, directory: Path, port: int | None = None) -> Broker:
    """A broker of one of KINDS over a hub's directory, not started yet. Skips where it is not installed."""
    directory.mkdir(parents=True, exist_ok=True)
    return _CLASSES[kind](directory, port)


def _running(kind: str, directory: Path) -> Iterator[Broker]:
    broker = make_broker(kind, directory)
    try:
        yield broker.start()
    finally:
        broker.kill()


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[Broker]:
    """The embedded broker, running, over `tmp_path / "d"`."""
    yield from _running("embedded", tmp_path / "d")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """Mosquitto with its own defaults, running."""
    yield from _running("mosquitto", tmp_path / "d")


@pytest.fixture
def mosquitto_hardened(tmp_path: Path) -> Iterator[Broker]:
    """Mosquitto with the manual's configuration, running."""
    yield from _running("mosquitto_hardened", tmp_path / "d")


@pytest.fixture(params=KINDS)
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Each of the three in turn."""
    yield from _running(request.param, tmp_path / "d")


@pytest.fixture(params=("embedded", "mosquitto_hardened"))
def strict_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Each broker that checks accounts and topics."""
    yield from _running(request.param, tmp_path / "d")
