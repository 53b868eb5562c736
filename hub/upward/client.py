"""Calls to the city's platform and what their outcome means.

For: handing in a bundle, reading the feed and the state of a case, telling of a withdrawal; each call has time limits,
checks the city's certificate, and ends in a value or in one of the errors of errors.py.
May not: decide when to try again; touch the store; log bodies; follow a redirect with a citizen's papers.
Spec: docs/protocol/city.md.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from hub.upward.errors import (
    BadCityAddress,
    CityBusy,
    CityDenied,
    CityHasOther,
    CityRefused,
    CityTakenBack,
    CityUnclear,
    CityUnreachable,
)

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0
ANSWER_S = 60.0  # silence on the line that ends a call; also the longest wait for one piece to be sent
CALL_S_MAX = 300.0  # an answer that trickles in for longer is given up
ANSWER_BYTES_MAX = 4 * 2**20  # 4 MiB: 100 answers of 40 KB
PAGE = 100  # answers asked for at once
TEXT_MAX = 500  # characters of the city's own words that we keep in a reason
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class CityAddress:
    """Where the city's platform is. token: ours there, never shown. ca_file: PEM of the city's own authority, if any.

    Plain http is allowed to this machine only (demo, tests): bundles carry citizens' papers.
    """

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None

    def check(self) -> None:
        """Raises BadCityAddress."""
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            parts, host = urlsplit(""), None
        safe = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
        if not (host and safe) or parts.username or parts.query or parts.fragment:
            raise BadCityAddress(
                "The address of the city must be https://HOST[:PORT][/PATH] (http only for this machine), without a password in it.",
                "市级平台地址须为 https://主机[:端口][/路径]（仅本机可用 http），且不得包含密码。",
            )
        if not self.token or not self.token.isascii() or not self.token.isprintable():
            raise BadCityAddress(
                "The token for the city is missing or has characters that a header cannot carry.",
                "市级平台令牌缺失或含有无法使用的字符。",
            )


class CityClient:
    """One county's connection to its city. Not shared between threads. Close it, or use it in a `with` block."""

    def __init__(self, address: CityAddress, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S) -> None:
        """Raises BadCityAddress for an address, token or authority file that cannot be used."""
        import ssl

        import httpx

        address.check()
        try:
            trust = ssl.create_default_context(cafile=str(address.ca_file) if address.ca_file else None)
        except OSError as error:
            raise BadCityAddress(
                f"The authority file of the city cannot be read: {address.ca_file}.",
                f"无法读取市级平台的证书颁发机构文件：{address.ca_file}。",
            ) from error
        self._http = httpx.Client(
            base_url=address.url.rstrip("/"),
            headers={
                "Authorization": f"Bearer {address.token}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            timeout=httpx.Timeout(answer_s, connect=connect_s),
            verify=trust,
            follow_redirects=False,
            trust_env=False,  # a proxy or certificate file in the environment must not reroute citizens' papers
        )

    def __enter__(self) -> CityClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def hand_in(self, key: str, body: bytes) -> str:
        """Hand in a bundle under `key`; the receipt number. The same key and body again give the same number.

        Raises:  CityUnreachable, CityUnclear, CityBusy, CityDenied, CityRefused, CityHasOther, CityTakenBack.
        """
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        answer = self._call("POST", "/api/cases", headers=headers, content=body)
        receipt = answer.get("receipt")
        if not isinstance(receipt, str) or not receipt.strip() or len(receipt) > 100:
            raise _unclear("its answer has no receipt number")
        return receipt

    def answers(self, after: int) -> list[Any]:
        """The next page of the feed: up to PAGE entries with a number above `after`, as the city wrote them.

        Raises:  CityUnreachable, CityUnclear, CityBusy, CityDenied, CityRefused.
        """
        page = self._call("GET", "/api/answers", params={"after": after, "limit": PAGE}).get("answers")
        if not isinstance(page, list):
            raise _unclear("its feed has no list of answers")
        return page

    def answers_of(self, receipt: str) -> list[Any] | None:
        """All answers about one case, or None if the city does not know the receipt number.

        Raises:  CityUnreachable, CityUnclear, CityBusy, CityDenied, CityRefused.
        """
        try:
            case = self._call("GET", f"/api/cases/{quote(receipt, safe='')}", about_case=True)
        except CityRefused as error:
            if error.facts.get("city_code") == "unknown_receipt":
                return None
            raise
        answers = case.get("answers")
        if not isinstance(answers, list):
            raise _unclear("its case has no list of answers")
        return answers

    def withdraw(self, key: str, receipt: str, reason: str) -> None:
        """Tell the city that a case was taken back: by receipt number, or by key if no number ever reached us.

        A city that does not know its own number (any more) is told by key, so that a later copy is not taken either.

        Raises:  CityUnreachable, CityUnclear, CityBusy, CityDenied; CityRefused if the case has already ended there.
        """
        parts: dict[str, Any] = {"json": {"reason": reason}, "about_case": True}
        if receipt:
            try:
                self._call("POST", f"/api/cases/{quote(receipt, safe='')}/withdraw", **parts)
                return
            except CityRefused as error:
                if error.facts.get("city_code") != "unknown_receipt":
                    raise
        self._call("POST", f"/api/keys/{quote(key, safe='')}/withdraw", **parts)

    def _call(self, method: str, path: str, *, about_case: bool = False, **parts: Any) -> dict[str, Any]:
        import httpx

        try:
            with self._http.stream(method, path, **parts) as response:
                return _read(response, about_case)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise CityUnreachable(
                f"The city's platform cannot be reached ({error or type(error).__name__}). Everything waits and goes later.",
                f"无法连接市级平台（{error or type(error).__name__}），待发件将稍后自动重发。",
            ) from error
        except httpx.HTTPError as error:
            raise _unclear(f"the line broke or was silent too long ({type(error).__name__})") from error


def _read(response: httpx.Response, about_case: bool) -> dict[str, Any]:
    status = response.status_code
    answer = _value(_bytes(response))
    if 200 <= status < 300:
        if not isinstance(answer, dict):
            raise _unclear("its answer is not a JSON object")
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    raise _error_of(
        status, error if isinstance(error, dict) else {}, response.headers.get("retry-after", ""), about_case
    )


def _bytes(response: httpx.Response) -> bytes:
    end = time.monotonic() + CALL_S_MAX
    blob = bytearray()
    for piece in response.iter_bytes():
        blob += piece
        if len(blob) > ANSWER_BYTES_MAX or time.monotonic() > end:
            raise _unclear(
                f"its answer is longer than {ANSWER_BYTES_MAX} bytes or takes longer than {CALL_S_MAX:.0f} s"
            )
    return bytes(blob)


def _value(blob: bytes) -> Any:
    """The JSON value in `blob`, or None if there is none. Texts are made fit for every store we know."""
    try:
        return _clean(json.loads(blob))
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    if isinstance(value, str):  # lone surrogates and NUL are legal in JSON, and in no database
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _error_of(status: int, said: dict[str, Any], retry_after: str, about_case: bool) -> Exception:
    code = str(said.get("code", ""))[:60]
    words = str(said.get("message", ""))[:TEXT_MAX]
    if status in (429, 503):
        return CityBusy(
            "The city's platform is busy and asks us to come back later.",
            "市级平台繁忙，请求稍后再发。",
            wait_ms=_retry_after_ms(retry_after),
        )
    if status >= 500 or status in (408, 425):
        return _unclear(f"it answered with status {status}")
    if status == 409 and isinstance(said.get("receipt"), str) and said["receipt"]:
        return CityHasOther(
            f"The city already holds another bundle of this forward under {said['receipt'][:100]}.",
            f"市级平台已有本次上报的另一版本，回执号 {said['receipt'][:100]}。",
            receipt=said["receipt"][:100],
            body_sha256=str(said.get("body_sha256", ""))[:64],
        )
    if status == 410:
        return CityTakenBack(
            "This forward was taken back at the city before; forward the case anew.",
            "本次上报此前已在市级平台撤回，请重新上报。",
        )
    if status in (401, 403, 405) or 300 <= status < 400 or (status == 404 and not about_case):
        return CityDenied(
            f"The city's platform does not let us in (status {status} {words}). Check address and token.",
            f"市级平台拒绝访问（状态 {status} {words}），请检查地址和令牌。",
            status=status,
        )
    return CityRefused(
        f"The city refuses: {words or 'no reason given'} (status {status}).",
        f"市级平台退件：{words or '未说明原因'}（状态 {status}）。",
        status=status,
        city_code=code,
    )


def _retry_after_ms(text: str) -> int:
    """Milliseconds in a Retry-After header (seconds or an HTTP date), 0 if it says nothing usable."""
    if text.isascii() and text.isdigit():
        return int(text[:9]) * 1000
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int((moment - datetime.fromtimestamp(time.time(), UTC)).total_seconds() * 1000))


def _unclear(what: str) -> CityUnclear:
    return CityUnclear(
        f"The city's answer is unknown: {what}. The same bundle goes again under the same key.",
        f"市级平台的答复不明（{what}），将以同一编号自动重发。",
    )
