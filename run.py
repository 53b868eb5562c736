"""One-file bootstrap of Liandong (联动), standard library only.

    python3 run.py demo [--keep]        one county's day with real processes on the embedded broker
    python3 run.py test [PYTEST ARGS]   the whole test suite
    python3 run.py chaos [--seconds N]  real processes, killed and cut off at random; 0 lost, 0 doubled, all equal
    python3 run.py lint                 ruff, mypy and the import contracts
    python3 run.py liandong ARGS...     the command itself, e.g. `python3 run.py liandong --help`
    python3 run.py setup                only the set-up

For: making a private environment (.venv, or the directory that LIANDONG_VENV names), installing what pyproject.toml
asks for at the versions of constraints.txt, once, and running the target in it. Works without pip's index where a
directory wheelhouse/ lies beside this file.
May not: import anything that is not in the standard library; install outside its own environment, save Debian's
python3-venv as root.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (before anything that an older Python lacks)
    sys.exit("run.py: Python 3.11 or newer is needed / 需要 Python 3.11 或更高版本")

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import time
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("LIANDONG_VENV") or ROOT / ".venv").absolute()
WINDOWS = os.name == "nt"
BIN = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = BIN / ("python.exe" if WINDOWS else "python")
STAMP = VENV / ".liandong-installed"
WHEELS = ROOT / "wheelhouse"
EXTRAS = ("postgres", "dev")
LOCK_WAIT_S = 900  # another first run may be installing; on a thin line that takes minutes
PIP_TRIES = 3
WORKERS = min(8, 2 * (os.cpu_count() or 1))  # tests with real processes mostly wait
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONDONTWRITEBYTECODE")  # would slow or mislead ours
LINTERS = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("-m", "mypy")),
    ("import contracts", ("-c", "from importlinter.cli import lint_imports_command as main; main()")),
)


def stop(text: str) -> NoReturn:
    """End with one plain sentence or two on stderr and exit code 1."""
    sys.stderr.write(f"run.py: {text}\n")
    raise SystemExit(1)


def say(text: str) -> None:
    """One line of progress, at once."""
    print(f"run.py: {text}", flush=True)


def environment() -> dict[str, str]:
    """The environment for everything we start: UTF-8, our own packages first, nothing of a foreign interpreter."""
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    path = os.pathsep.join([str(BIN), env.get("PATH", os.defpath)])
    return {**env, "PYTHONUTF8": "1", "VIRTUAL_ENV": str(VENV), "PATH": path, "PIP_USER": "0", "PIP_NO_INPUT": "1"}


def quiet(*command: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a command without a keyboard; its output comes back as text, a missing program as exit code 127."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 127, f"{error}")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock of this environment, so that two first runs do not install into it at once."""
    path = VENV.parent / f"{VENV.name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+b")
    except OSError as error:
        stop(
            f"cannot write {path.parent} ({error}). Name a directory that you may write, for instance: "
            "LIANDONG_VENV=/tmp/liandong-venv python3 run.py demo / 请用环境变量 LIANDONG_VENV 指定一个可写目录"
        )
    with handle:
        deadline = time.monotonic() + LOCK_WAIT_S
        waited = False
        while not try_lock(handle.fileno()):
            if not waited:
                say("another run.py is setting up this environment, waiting for it")
                waited = True
            if time.monotonic() > deadline:
                stop(f"another run.py has held {path} for {LOCK_WAIT_S} seconds; end it and start again")
            time.sleep(0.3)
        yield


def try_lock(descriptor: int) -> bool:
    """True if we now hold the lock; the system releases it when the file is closed or the process dies."""
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_environment() -> None:
    """A virtual environment with a working pip in VENV, also where Debian's python3 lacks ensurepip."""
    if quiet(PYTHON, "-m", "pip", "--version").returncode == 0:
        return
    say(f"making a private environment in {VENV}")
    ours = (VENV / "pyvenv.cfg").exists()
    if VENV.exists() and not ours and any(VENV.iterdir()):
        stop(f"{VENV} exists and is no Python environment; move it away or name another by LIANDONG_VENV")
    if VENV.exists():
        shutil.rmtree(VENV)
    if quiet(sys.executable, "-c", "import ensurepip").returncode == 0:
        venv.create(VENV, with_pip=True, symlinks=not WINDOWS)
    elif shutil.which("uv"):
        checked("uv", "venv", "-q", "--seed", "--python", sys.executable, VENV)
    elif quiet(sys.executable, "-m", "pip", "--version").returncode == 0:
        venv.create(VENV, with_pip=False, symlinks=not WINDOWS)
        checked(sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", *wheel_options(), "pip")
    elif hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        say("Python's venv module is incomplete; installing python3-venv by apt-get")
        os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
        quiet("apt-get", "update", "-q")
        checked("apt-get", "install", "-y", "-q", "--no-install-recommends", "python3-venv")
        checked(sys.executable, "-m", "venv", VENV)
    else:
        stop(
            "this Python cannot make environments. Install its venv package, then repeat the command: "
            "sudo apt-get install python3-venv / 请先安装 python3-venv,再运行一次"
        )


def checked(*command: str | Path) -> None:
    """Run a command of the set-up; if it fails, show the end of what it said and stop."""
    done = quiet(*command)
    if done.returncode:
        stop(f"`{' '.join(done.args)}` failed:\n{done.stdout[-2000:]}")


def wheel_options() -> list[str]:
    """Where pip finds packages: the wheelhouse of an offline medium, else wherever this machine's pip looks."""
    return ["--no-index", "--find-links", str(WHEELS)] if WHEELS.is_dir() else []


def wanted() -> str:
    """A fingerprint of everything that the installed environment depends on."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join([*parts, sys.version.encode(), str(ROOT).encode()])).hexdigest()


def ready() -> bool:
    """True if the environment is there and was installed from what the two files say now."""
    try:
        return PYTHON.exists() and STAMP.read_text("utf-8") == wanted()
    except OSError:
        return False


def install() -> None:
    """Install the dependencies at their pinned versions and the five packages as links to this directory, once."""
    with (ROOT / "pyproject.toml").open("rb") as handle:
        project = tomllib.load(handle)["project"]
    needs = list(project["dependencies"])
    for extra in EXTRAS:
        needs += project["optional-dependencies"][extra]
    say("installing the pinned packages, once (about a minute on a good line) / 首次安装依赖,请稍候")
    pip("-c", ROOT / "constraints.txt", *needs)
    link()
    STAMP.write_text(wanted(), "utf-8")


def pip(*what: str | Path) -> None:
    """`pip install`, repeated when the line breaks; in plain words when it cannot be done."""
    command = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wheel_options(), *what]
    for attempt in range(1, PIP_TRIES + 1):
        done = quiet(*command, timeout=1500)
        if done.returncode == 0:
            return
        if attempt < PIP_TRIES:
            say(f"pip failed, trying again ({attempt} of {PIP_TRIES - 1})")
            time.sleep(3 * attempt)
    stop(
        f"pip could not install the packages. The end of what it said:\n{done.stdout[-2500:]}\n"
        "If this machine has no way to a package index: connect it once, or set pip up for your own index "
        f"(pip config), or put the wheels into {WHEELS}, then repeat the command.\n"
        "如本机无法访问软件包索引:请联网一次,或为 pip 配置本单位的索引,或把 wheel 文件放入 wheelhouse 目录后重试。"
    )


def link() -> None:
    """Make our packages importable from this directory and put the command `liandong` beside python.

    A path file and a launcher of two lines instead of an editable install: that would fetch a build backend, which
    is one more thing that can be missing. -P keeps a directory named hub or ops, where the user stands, out of the way.
    """
    found = quiet(PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    if found.returncode:
        stop(f"the environment in {VENV} does not work:\n{found.stdout}")
    (Path(found.stdout.strip()) / "liandong.pth").write_text(f"{ROOT}\n", "utf-8")
    if WINDOWS:
        (BIN / "liandong.cmd").write_text('@"%~dp0python.exe" -X utf8 -P -m ops.cli %*\r\n', "utf-8")
        return
    launcher = BIN / "liandong"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -X utf8 -P -m ops.cli "$@"\n', "utf-8")
    launcher.chmod(0o755)


def run(*arguments: str) -> NoReturn:
    """Become the target: same process where the system can, so that signals reach it."""
    command = [str(PYTHON), "-P", *arguments]
    sys.stdout.flush()
    if not WINDOWS:
        os.execve(command[0], command, environment())
    child = subprocess.Popen(command, env=environment())
    while True:
        try:
            raise SystemExit(child.wait())
        except KeyboardInterrupt:
            continue  # the child got it too and ends in its own way


def lint() -> NoReturn:
    """All linters, each to its end; exit code 1 if any found something."""
    failed = []
    for name, command in LINTERS:
        say(name)
        if subprocess.run([str(PYTHON), *command], cwd=ROOT, env=environment(), check=False).returncode:
            failed.append(name)
    if failed:
        stop(f"lint found something: {', '.join(failed)}")
    say("lint is clean")
    raise SystemExit(0)


def test(arguments: list[str]) -> NoReturn:
    """The whole suite, or what the arguments choose, on a few workers unless the caller says otherwise."""
    os.chdir(ROOT)
    alone = any(word.startswith(("-n", "--pdb", "--collect-only", "--co")) for word in arguments)
    run("-m", "pytest", *([] if alone else ["-n", str(WORKERS), "--dist", "worksteal"]), *arguments)


def main() -> NoReturn:
    """Set up if need be, then run the target that the first argument names."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print(__doc__.split("For:")[0].strip())
        raise SystemExit(0)
    if name not in ("demo", "test", "chaos", "lint", "liandong", "setup"):
        stop(f"no target `{name}`; choose demo, test, chaos, lint, liandong or setup")
    if not ready():
        with only_one():
            if not ready():
                make_environment()
                install()
    if name == "setup":
        say(f"ready: {PYTHON}")
        raise SystemExit(0)
    if name == "lint":
        lint()
    if name == "test":
        test(rest)
    if name == "chaos":
        run("-m", "ops.chaos", *rest)
    run("-m", "ops.cli", *(["demo", *rest] if name == "demo" else rest))


if __name__ == "__main__":
    main()
