"""The HTTP face of the city platform.

For: the county's calls under /api/, the operator's under /operator/, both with the bearer token.
May not: decide what a bundle must hold (bundle_check) or keep anything (store).
Spec: docs/protocol/city.md, "Calls".
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ops.city.bundle_check import check_bundle
from ops.city.faults import MODES, App, Fault, FaultBoard, FaultyApp
from ops.city.settings import CitySettings
from ops.city.store import CityRefusal, CityStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

BODY_BYTES_MAX = 96 * 2**20  # 96 MiB: 64 MiB of files in base64 and some form fields
ANSWERS_MAX = 500  # answers in one page of the feed
KEY_CHARACTERS_MAX = 128

Handler = Callable[["Request"], Awaitable["Response"]]

GRANTED = {"decision": "granted", "opinion": "经审查，申请符合法定条件，准予。"}
DENIED = {
    "decision": "denied",
    "opinion": "经审查，申请不符合法定条件，不予许可。",
    "reasons": "所提交材料不能证明符合法定条件。",
    "remedies": "可自收到本决定之日起六十日内申请行政复议，或者六个月内提起行政诉讼。",
}
RETURNED = {"reason": "申请材料内容与初审意见不一致，请核实后重新上报。"}


class CityRoutes:
    """The handlers. One object per running platform."""

    def __init__(self, settings: CitySettings, store: CityStore, board: FaultBoard, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._store = store
        self._board = board
        self._now_ms = now_ms

    async def hand_in(self, request: Request) -> Response:
        """POST /api/cases: a bundle comes in, a receipt number goes out."""
        key = request.headers.get("idempotency-key", "")
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
            raise CityRefusal(400, "no_key", "the header Idempotency-Key is missing or too long")
        body = await _body(request)
        bundle = _json(body)
        missing, files = check_bundle(bundle)
        if missing:
            raise CityRefusal(422, "incomplete", "材料不齐: " + "; ".join(missing), missing=missing)
        taken = self._store.take(key, hashlib.sha256(body).hexdigest(), bundle, files, self._now_ms())
        return _answer({"receipt": taken.receipt, "repeated": taken.repeated}, 201)

    async def state(self, request: Request) -> Response:
        """GET /api/cases/{receipt}: state, answer so far, and every answer that the feed had about it."""
        self._act_automatically()
        receipt = request.path_params["receipt"]
        case = self._store.case(receipt)
        return _answer(case | {"files": self._store.files(receipt), "answers": self._store.answers_of(receipt)})

    async def withdraw(self, request: Request) -> Response:
        """POST /api/cases/{receipt}/withdraw: the county takes a case back."""
        reason = str(_json(await _body(request)).get("reason", ""))
        return _answer(
            self._store.move(request.path_params["receipt"], "withdrawn", {"reason": reason}, self._now_ms())
        )

    async def withdraw_key(self, request: Request) -> Response:
        """POST /api/keys/{key}/withdraw: the same when the county never learnt the receipt number."""
        reason = str(_json(await _body(request)).get("reason", ""))
        case = self._store.withdraw_key(request.path_params["key"], reason, self._now_ms())
        return _answer({"receipt": None, "state": "withdrawn"} if case is None else case)

    async def answers(self, request: Request) -> Response:
        """GET /api/answers?after=N&limit=M: the feed, at least once; the reader remembers the last number."""
        self._act_automatically()
        after, limit = _number(request, "after", 0), min(_number(request, "limit", 100), ANSWERS_MAX)
        feed = getattr(request.state, "feed", "")
        page = self._store.answers(0 if feed == "repeat" else after, limit)
        if feed == "repeat":
            page = [answer for answer in page for _ in range(2)]
        elif feed == "shuffle":
            page = page[::-1]
        return _answer({"answers": page})

    async def decide(self, request: Request) -> Response:
        """POST /operator/cases/{receipt}/decide: decision granted or denied, opinion, document?, reasons, remedies."""
        wish = _json(await _body(request))
        if wish.get("decision") not in ("granted", "denied") or not wish.get("opinion"):
            raise CityRefusal(422, "bad_decision", "a decision is granted or denied and has an opinion")
        if wish["decision"] == "denied" and not (wish.get("reasons") and wish.get("remedies")):
            raise CityRefusal(422, "bad_decision", "a denial states its reasons and remedies")
        body = {k: str(wish[k]) for k in ("decision", "opinion", "document", "reasons", "remedies") if wish.get(k)}
        return _answer(self._decide(request.path_params["receipt"], body))

    async def send_back(self, request: Request) -> Response:
        """POST /operator/cases/{receipt}/return: the case goes back to the county with a reason."""
        reason = _json(await _body(request)).get("reason")
        if not reason:
            raise CityRefusal(422, "no_reason", "a return states its reason")
        receipt = request.path_params["receipt"]
        return _answer(self._store.move(receipt, "returned", {"reason": str(reason)}, self._now_ms()))

    async def accept(self, request: Request) -> Response:
        """POST /operator/cases/{receipt}/accept: the city starts to handle the case."""
        return _answer(self._store.move(request.path_params["receipt"], "accepted", {}, self._now_ms()))

    async def list_cases(self, request: Request) -> Response:
        """GET /operator/cases: everything the city holds."""
        self._act_automatically()
        return _answer({"cases": self._store.cases()})

    async def switch_faults(self, request: Request) -> Response:
        """POST /operator/faults: {"faults": [{mode, times?, seconds?, path?, key?}]} replaces all; [] is a healthy city."""
        wishes = _json(await _body(request)).get("faults", [])
        if any(wish.get("mode") not in MODES for wish in wishes):
            raise CityRefusal(422, "bad_fault", "the modes are " + ", ".join(MODES))
        self._board.faults = [Fault(**wish) for wish in wishes]
        return _answer({"faults": len(self._board.faults)})

    async def health(self, request: Request) -> Response:
        """GET /operator/health."""
        return _answer({"office": self._settings.office, "ok": True})

    def _act_automatically(self) -> None:
        if self._settings.automatic == "none":
            return
        for receipt in self._store.due(self._now_ms() - self._settings.delay_ms):
            if self._settings.automatic == "return":
                self._store.move(receipt, "returned", dict(RETURNED), self._now_ms())
            else:
                self._decide(receipt, dict(GRANTED if self._settings.automatic == "grant" else DENIED))

    def _decide(self, receipt: str, body: dict[str, str]) -> dict[str, Any]:
        serial = receipt.rpartition("-")[2]
        body.setdefault(
            "document", f"市审批决〔{receipt.split('-')[1][:4]}〕{int(serial)}号" if serial.isdigit() else receipt
        )
        return self._store.move(receipt, "decided", body, self._now_ms())


def create_app(settings: CitySettings, board: FaultBoard, now_ms: Callable[[], int]) -> App:
    """The ASGI application of one platform; its store opens at start-up and closes at shutdown."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    store = CityStore(settings.directory, settings.office)
    routes = CityRoutes(settings, store, board, now_ms)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    def route(path: str, handler: Handler, method: str) -> Route:
        return Route(path, _guarded(handler, settings.token), methods=[method])

    app = Starlette(
        lifespan=lifespan,
        routes=[
            route("/api/cases", routes.hand_in, "POST"),
            route("/api/cases/{receipt}", routes.state, "GET"),
            route("/api/cases/{receipt}/withdraw", routes.withdraw, "POST"),
            route("/api/keys/{key}/withdraw", routes.withdraw_key, "POST"),
            route("/api/answers", routes.answers, "GET"),
            route("/operator/cases", routes.list_cases, "GET"),
            route("/operator/cases/{receipt}/accept", routes.accept, "POST"),
            route("/operator/cases/{receipt}/decide", routes.decide, "POST"),
            route("/operator/cases/{receipt}/return", routes.send_back, "POST"),
            route("/operator/faults", routes.switch_faults, "POST"),
            route("/operator/health", routes.health, "GET"),
        ],
    )
    return FaultyApp(app, board)


def _guarded(handler: Handler, token: str) -> Handler:
    expected = f"Bearer {token}".encode()

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        try:
            if not hmac.compare_digest(given, expected):
                raise CityRefusal(401, "bad_token", "the bearer token is missing or wrong")
            return await handler(request)
        except CityRefusal as refusal:
            error = {"code": refusal.code, "message": refusal.message} | refusal.facts
            return _answer({"error": error}, refusal.status)

    return guarded


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise CityRefusal(413, "too_large", f"a body has at most {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _json(body: bytes) -> Any:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise CityRefusal(400, "not_json", "the body is not JSON") from error
    if not isinstance(value, dict):
        raise CityRefusal(400, "not_json", "the body is not a JSON object")
    return value


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise CityRefusal(400, "bad_number", f"{name} is a whole number from 0")
    return int(text)


def _answer(value: dict[str, Any], status: int = 200) -> Response:
    from starlette.responses import Response

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, media_type="application/json")
