"""Bad days of a city platform, switched on and off while it runs.

For: the tests and the demo: lines cut after the case was taken, errors, overload, garbage, a feed that repeats itself.
May not: lose what the platform acknowledged; be reachable by the county's calls (only /operator/faults switches it).
Spec: docs/protocol/city.md, "Bad days".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Mode = Literal["cut", "cut_before", "error", "error_after", "busy", "slow", "garbage", "refuse", "repeat", "shuffle"]
MODES: tuple[Mode, ...] = (
    "cut",
    "cut_before",
    "error",
    "error_after",
    "busy",
    "slow",
    "garbage",
    "refuse",
    "repeat",
    "shuffle",
)
FEED_MODES = ("repeat", "shuffle")


@dataclass(slots=True)
class Fault:
    """One bad habit. times: how many calls it spoils, 0 = until cleared. seconds: of `slow` and of Retry-After.

    path: only calls whose path starts with it. key: only calls with this Idempotency-Key, "" = all.
    """

    mode: Mode
    times: int = 0
    seconds: float = 1.0
    path: str = "/api/"
    key: str = ""


class FaultBoard:
    """The faults that are switched on now. In memory: a restarted platform is a healthy one."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def take(self, path: str, key: str) -> Fault | None:
        """The first fault that applies to this call, counted down."""
        for fault in self.faults:
            fits = path.startswith(fault.path) and fault.key in ("", key)
            if fits and (fault.mode not in FEED_MODES or path == "/api/answers"):
                if fault.times == 1:
                    self.faults.remove(fault)
                elif fault.times:
                    fault.times -= 1
                return fault
        return None


class FaultyApp:
    """ASGI wrapper: gives the faults of `board` their turn before and after the real application."""

    def __init__(self, app: App, board: FaultBoard) -> None:
        self._app = app
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        fault = self._board.take(scope["path"], headers.get(b"idempotency-key", b"").decode("latin-1"))
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._spoil(fault, scope, receive, send)

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.mode in FEED_MODES:
            scope["state"]["feed"] = fault.mode
            await self._app(scope, receive, send)
        elif fault.mode == "slow":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.mode == "cut_before":
            await _cut(scope, receive)
        elif fault.mode in ("cut", "garbage", "error_after"):
            await self._app(scope, receive, _swallow)
            if fault.mode == "cut":
                await _cut(scope, receive)
            elif fault.mode == "garbage":
                await _answer(send, 201, b"<html>\xff\xfe gateway</html>")
            else:
                await _answer(send, 500, _error("internal", "the platform failed after it took the case"))
        elif fault.mode == "busy":
            await _answer(send, 503, _error("busy", "come back later"), retry_after=fault.seconds)
        elif fault.mode == "refuse":
            await _answer(send, 422, _error("not_our_item", "本市不受理此事项"))
        else:
            await _answer(send, 500, _error("internal", "the platform failed"))


async def _cut(scope: Scope, receive: Receive) -> None:
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        continue


async def _swallow(message: Message) -> None:
    """Stands where the line would be: the application answers, nobody hears it."""


async def _answer(send: Send, status: int, body: bytes, *, retry_after: float | None = None) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()
