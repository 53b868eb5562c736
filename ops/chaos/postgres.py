"""A private PostgreSQL for one chaos run: its own cluster in a directory of its own, killed at will, gone afterwards.

For: hubs on PostgreSQL where it is installed, without touching one that belongs to the machine; a crash of the whole
server, and the end of one session.
May not: be used outside a run: it trusts everybody on the loopback address.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ops.demo.processes import STOP_SECONDS_MAX, Daemon, DemoFailed, free_port, wait_until

USERS = ("postgres", "nobody")  # initdb refuses to run as root: the first of these that exists does it


def find_binaries() -> Path | None:
    """The directory with `initdb` and `postgres`: the newest under /usr/lib/postgresql, or the search path."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if path.parts[-3].isdigit()]
    if installed:
        return max(installed, key=lambda path: int(path.parts[-3])).parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Server(Daemon):
    """The server process. A kill is the crash of the whole server: it and all its backends end at once, unasked."""

    def kill(self) -> None:
        backends = _children(self.process.pid) if self.process is not None and self.alive() else []
        super().kill()
        for backend in backends:
            with suppress(ProcessLookupError):  # it has seen that its server is gone
                os.kill(backend, signal.SIGKILL)
        gone = lambda: not any(_runs(backend) for backend in backends)  # noqa: E731
        wait_until("the backends of PostgreSQL have ended", gone, seconds=STOP_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster with one database."""

    server: Server
    url: str

    def sever(self) -> int:
        """End one session that is not ours, as an administrator does; how many were ended (none while nobody works)."""
        import psycopg

        query = (
            "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1) as one"
        )
        try:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(query).fetchone()
        except psycopg.OperationalError:  # the server is down just now
            return 0
        return int(row[0]) if row else 0


@contextmanager
def private_cluster(wrap: Callable[[list[str]], list[str]] = list) -> Iterator[Cluster]:
    """A running cluster with an empty database. Raises DemoFailed where PostgreSQL cannot be had.

    wrap: what is put before the server's command, to trace it.
    """
    binaries = find_binaries()
    if binaries is None:
        raise DemoFailed("PostgreSQL is not installed (apt-get install postgresql)")
    account = unprivileged()
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
        server = Server("database", wrap(command), home / "log", ready="database system is ready to accept connections")
        try:
            server.start()
            where = ["-h", "127.0.0.1", "-p", str(port), "-U", "liandong"]
            _run(home, str(binaries / "createdb"), *where, "chaos")
            yield Cluster(server, f"postgresql://liandong@127.0.0.1:{port}/chaos")
        finally:
            if server.alive() and server.process is not None:
                server.process.send_signal(signal.SIGINT)  # fast shutdown: ends the sessions that are left
                server.process.wait(STOP_SECONDS_MAX)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _children(pid: int) -> list[int]:
    """The processes that `pid` has started and that run; none where the system has no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        state = _state(int(entry.name))
        if state and int(state[1]) == pid:
            found.append(int(entry.name))
    return found


def _runs(pid: int) -> bool:
    state = _state(pid)
    return bool(state) and state[0] != "Z"  # a zombie has given everything back


def _state(pid: int) -> list[str]:
    """State and parent of a process, then more; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _run(home: Path, *command: str) -> None:
    """One program of PostgreSQL to its end, at home in a directory that its account may enter."""
    done = subprocess.run(command, capture_output=True, cwd=home, env={**os.environ, "HOME": str(home)}, check=False)
    if done.returncode:
        raise DemoFailed(f"{command[-1]}: {done.stderr.decode(errors='replace')[-1000:]}")


def unprivileged() -> tuple[int, int] | None:
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
