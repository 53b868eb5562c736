"""The command `liandong`: everything that people and scripts do, one file a group.

`main` is the entry point. Commands parse, open what they need, call one act of edge, hub or ops, and say the outcome.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from ops import logs, output
from protocol.errors import LiandongError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 refused or failed, 2 wrong command line, 130 interrupted."""
    output.prepare_streams()
    logs.quiet()
    raise SystemExit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(words: list[str]) -> int:
    """Run one command; every error becomes a sentence and an exit code."""
    from typer.exceptions import TyperException
    from typer.main import get_command

    from ops.cli.tree import app

    as_json = "--json" in words
    try:
        code = get_command(app).main(args=words or ["--help"], prog_name="liandong", standalone_mode=False)
        return int(code or output.OK)
    except TyperException as error:
        return output.say_failure(
            "usage", error.format_message(), as_json=as_json, exit_code=getattr(error, "exit_code", output.USAGE)
        )
    except LiandongError as error:
        return output.say_error(error, as_json=as_json)
    except BrokenPipeError:  # the reader has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return output.FAILED
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the last resort of a command: one sentence instead of a trace)
        return output.say_unexpected(error, as_json=as_json)
