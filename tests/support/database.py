"""A private PostgreSQL for tests: its own cluster in a directory of its own, gone afterwards.

For: `postgres_url`, a fresh empty database for each test that asks.
May not: touch a PostgreSQL that belongs to the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from ops.chaos.postgres import unprivileged
from ops.demo.processes import DemoFailed
from tests.support.process import Proc, free_port

_names = count(1)


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL. `proc` may be killed and started again by a test that is about that."""

    proc: Proc
    binaries: Path
    port: int

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(_names)}"
        subprocess.run(
            [self.binaries / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "liandong", name],
            check=True,
            capture_output=True,
        )
        return f"postgresql://liandong@127.0.0.1:{self.port}/{name}"

    def set(self, name: str, value: str) -> None:
        """Change a setting of the whole server that needs no restart."""
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "liandong", "-d", "postgres"]
        for statement in (f"ALTER SYSTEM SET {name} = {value}", "SELECT pg_reload_conf()"):
            subprocess.run([self.binaries / "psql", *words, "-c", statement], check=True, capture_output=True)


def find_binaries() -> Path | None:
    """The directory with `initdb` and `postgres`: the newest under /usr/lib/postgresql, or the search path."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda found: int(found.parts[-3]) if found.parts[-3].isdigit() else 0,
    )
    on_path = shutil.which("initdb")
    if installed:
        return installed[-1].parent
    return Path(on_path).parent if on_path else None


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """One cluster for the session of one worker. Skips when PostgreSQL or its driver is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed (pip install psycopg[binary])")
    try:
        account = unprivileged()
    except DemoFailed as error:
        pytest.skip(str(error))
    home = Path(tempfile.mkdtemp(prefix="liandong-pg-"))  # not tmp_path: only root may enter that
    prefix: list[str] = []
    if account is not None:
        os.chown(home, *account)
        prefix = ["setpriv", f"--reuid={account[0]}", f"--regid={account[1]}", "--clear-groups"]
    data = home / "data"
    subprocess.run(
        [
            *prefix,
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "liandong",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=home,
        env={**os.environ, "HOME": str(home)},
    )
    port = free_port()
    settings = [
        f"port={port}",
        "listen_addresses=127.0.0.1",
        f"unix_socket_directories={home}",
        "max_connections=50",
    ]
    options = [part for setting in settings for part in ("-c", setting)]
    with (data / "postgresql.auto.conf").open("a") as conf:  # not on the command line, so that `set` can change it
        conf.write("fsync = off\n")
    proc = Proc([*prefix, binaries / "postgres", "-D", data, *options], log=home / "log", cwd=home).start()
    try:
        proc.wait_line("database system is ready to accept connections")
        yield Cluster(proc, binaries, port)
    finally:
        if proc.alive:
            proc.signal(signal.SIGINT)  # fast shutdown: ends the sessions that a failed test left open
            proc.wait_end()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> str:
    """`postgresql://…` of a fresh database of the worker's cluster."""
    return postgres_cluster.new_database()
