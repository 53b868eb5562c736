"""A county's store with the real ledger and fold, an office that forwards to the city, and the hub's side of the gateway.

For: tests of the gateway against the real city platform, in this process or killed in another one.
May not: check signatures or route (tests of the hub do); be fast at the price of being unlike the product.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection

from conflict.ledger import append, chains, files, views
from conflict.ledger.store import Store, open_store
from hub.upward import COMPONENT, Answer, CityAddress, CityClient, StepResult, list_queue, overview, step, sync_queue
from protocol.errors import RefusedError
from protocol.op import Draft, Op, sign_op

TOKEN = "token"
COUNTY, CITY = "420222", "4202"
START_MS = 1_790_000_000_000
TERMS = {
    "kind": "submit_up",
    "version": 1,
    "name": "采矿许可",
    "department": "自然资源局",
    "accept_level": "village",
    "approve_level": "city",
    "statutory": [20, "workday"],
    "promised": [15, "workday"],
    "materials": ["申请书"],
}
FIELDS = {"applicant_name": "王小山", "applicant_id": "11010519491231002X"}


@dataclass
class Pen:
    """One device that signs ops; its chain goes on from what the store holds."""

    office: str
    role: str
    seed: bytes

    @property
    def device(self) -> bytes:
        return self.seed[:8]

    def sign(self, tx: Connection, kind: str, case: bytes | None, **body: Any) -> Op:
        parents = views.heads(tx, case) if case else ()
        seq, prev = chains.chain(tx, self.device) or (0, None)
        draft = Draft(kind, case, parents, "s1", self.role, START_MS, body)
        return sign_op(draft, office=self.office, device=self.device, seed=self.seed, seq=seq + 1, prev=prev or None)


@dataclass
class County:
    """The hub's store at `directory`. `hand_over` makes it the gateway's Desk."""

    directory: Path
    database: str = ""  # a PostgreSQL URL, or "" for SQLite in the directory
    now_ms: int = START_MS
    store: Store = field(init=False)
    window: Pen = field(default_factory=lambda: Pen(COUNTY, "chief", b"W" * 32))
    hub: Pen = field(default_factory=lambda: Pen(COUNTY, "hub", b"H" * 32))
    numbers: int = 0

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = open_store(self.database or self.directory / "hub.db", create=True)
        self.store.ensure(COMPONENT)

    def put(self, tx: Connection, op: Op) -> Op:
        """Append, fold, and let the queue follow, as intake does."""
        append.append(tx, op, arrived_ms=self.now_ms, via="test")
        for view in views.refold(tx, [op.case], fresh=[op]):
            sync_queue(tx, view, now_ms=self.now_ms)
        return op

    def act(self, kind: str, case: bytes | None = None, **body: Any) -> Op:
        """The county's window does something; the op must count."""
        with self.store.write() as tx:
            op = self.put(tx, self.window.sign(tx, kind, case, **body))
            entry = next(entry for entry in views.view(tx, op.case).timeline if entry["op"] == op.id)
            assert entry["verdict"] == "applied", entry
        return op

    def new_case(self, *, paper: bytes | None = b"paper", opinion: bool = True, urgent: bool = False) -> bytes:
        """An accepted 上报件 with its material (bytes on their way if `paper` is None)."""
        self.numbers += 1
        number = f"{COUNTY}-20260921-{self.numbers:04d}"
        opened = self.act("accept", number=number, item="XK-ZR-001", terms=TERMS, fields=FIELDS, urgent=urgent)
        self.attach(opened.id, paper)
        if opinion:
            self.act("examine", opened.id, outcome="agree", opinion="初审同意", step="verify")
        return opened.id

    def attach(self, case: bytes, paper: bytes | None, material: str = "申请书") -> bytes:
        sha256 = hashlib.sha256(paper or b"late").digest()
        if paper is not None:
            self.bring(paper)
        size = len(paper or b"late")
        self.act(
            "attach", case, material=material, sha256=sha256, size=size, media="text/plain", name="a.txt", grade="B"
        )
        return sha256

    def bring(self, paper: bytes) -> None:
        """The bytes of a file arrive, without any op."""
        with self.store.write() as tx:
            files.save_file(tx, paper, now_ms=self.now_ms)

    def forward(self, case: bytes, to: str = CITY) -> bytes:
        return self.act("forward", case, to=to, opinion="请审批").id

    def hand_over(self, tx: Connection, answer: Answer) -> bytes:
        """The hub's part: sign, append, refold; refuse what the fold would not apply."""
        op = self.put(tx, self.hub.sign(tx, answer.kind, answer.case, **answer.body))
        refused = views.view(tx, answer.case).refused.get(op.id)
        entry = next(entry for entry in views.view(tx, answer.case).timeline if entry["op"] == op.id)
        if refused is not None or entry["verdict"] != "applied":
            raise RefusedError(f"not possible: {refused or entry['verdict']}")
        return op.id

    def step(self, city: Any, *, after_ms: int = 1_000) -> StepResult:
        """Time goes on, and the gateway does one step."""
        self.now_ms += after_ms
        return step(self.store, city, self, now_ms=self.now_ms)

    def rows(self, case: bytes | None = None) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            return list_queue(tx, case=case)

    def row(self, case: bytes) -> dict[str, Any]:
        """The one row of a case."""
        (row,) = self.rows(case)
        return row

    def overview(self) -> dict[str, Any]:
        with self.store.read() as tx:
            return overview(tx, now_ms=self.now_ms)

    def ops(self, case: bytes, kind: str) -> list[Op]:
        with self.store.read() as tx:
            return [op for op in views.ops_of(tx, case) if op.kind == kind]

    def status(self, case: bytes) -> str:
        with self.store.read() as tx:
            return str(views.view(tx, case).status)


@contextmanager
def client_of(url: str) -> Iterator[CityClient]:
    with CityClient(CityAddress(url, TOKEN), connect_s=5, answer_s=20) as client:
        yield client


@contextmanager
def operator_of(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=30) as http:
        yield http


def grant(operator: httpx.Client, receipt: str) -> None:
    wish = {"decision": "granted", "opinion": "准予", "document": "市审〔2026〕7号"}
    assert operator.post(f"/operator/cases/{receipt}/decide", json=wish).status_code == 200


def cases_at(operator: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.get("/operator/cases").json()["cases"]
    return found
