"""A private PostgreSQL for one chaos run: its own cluster in a directory of its own, gone afterwards.

For: hubs on PostgreSQL where it is installed, without touching one that belongs to the machine.
May not: be used outside a run: it trusts everybody on the loopback address.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.demo.processes import STOP_SECONDS_MAX, Daemon, DemoFailed, free_port

USERS = ("postgres", "nobody")  # initdb refuses to run as root: the first of these that exists does it


def find_binaries() -> Path | None:
    """The directory with `initdb` and `postgres`: the newest under /usr/lib/postgresql, or the search path."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if path.parts[-3].isdigit()]
    if installed:
        return max(installed, key=lambda path: int(path.parts[-3])).parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def private_cluster() -> Iterator[str]:
    """A running cluster; yields the URL of an empty database. Raises DemoFailed where PostgreSQL cannot be had."""
    binaries = find_binaries()
    if binaries is None:
        raise DemoFailed("PostgreSQL is not installed (apt-get install postgresql)")
    account = _unprivileged()
    home = Path(tempfile.mkdtemp(prefix="liandong-chaos-pg-"))
    prefix: list[str] = []
    if account is not None:
        os.chown(home, *account)
        prefix = ["setpriv", f"--reuid={account[0]}", f"--regid={account[1]}", "--clear-groups"]
    data, port = home / "data", free_port()
    try:
        _run(home, *prefix, str(binaries / "initdb"), "-D", str(data), "-U", "liandong", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync")  # fmt: skip
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={home}"]
        options = [part for setting in settings for part in ("-c", setting)]
        command = [*prefix, str(binaries / "postgres"), "-D", str(data), *options]
        server = Daemon("postgresql", command, home / "log", ready="database system is ready to accept connections")
        try:
            server.start()
            where = ["-h", "127.0.0.1", "-p", str(port), "-U", "liandong"]
            _run(home, str(binaries / "createdb"), *where, "chaos")
            yield f"postgresql://liandong@127.0.0.1:{port}/chaos"
        finally:
            if server.alive() and server.process is not None:
                server.process.send_signal(signal.SIGINT)  # fast shutdown: ends the sessions that are left
                server.process.wait(STOP_SECONDS_MAX)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(home: Path, *command: str) -> None:
    """One program of PostgreSQL to its end, at home in a directory that its account may enter."""
    done = subprocess.run(command, capture_output=True, cwd=home, env={**os.environ, "HOME": str(home)}, check=False)
    if done.returncode:
        raise DemoFailed(f"{command[-1]}: {done.stderr.decode(errors='replace')[-1000:]}")


def _unprivileged() -> tuple[int, int] | None:
    """User and group id that run PostgreSQL when we are root; None when we are not."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd

    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise DemoFailed("running as root, and there is no unprivileged user to run PostgreSQL as")
