"""An op: one signed fact about one case.

For: building, signing and parsing ops; their canonical bytes and ids.
May not: know what a kind of op means for a case (conflict/ does); read a clock; draw randomness.
Spec: docs/protocol/op.md.  Vectors: tests/vectors/op/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol import canonical
from protocol.errors import LocalProtocolError, MalformedBytes, UnknownVersion
from protocol.suites import suite

VERSION = 1
OP_BYTES_MAX = 40_000  # one op alone must fit an envelope of 65,536 bytes even when nothing compresses
PARENTS_MAX = 64  # heads an author may name; a case with more is joined in steps
ID_BYTES = 32
INCARNATION_BYTES = 8
DOMAIN_ID = b"liandong op id v1"
DOMAIN_SIGNATURE = b"liandong op signature v1"

# Keys of the content map. Integers, because an op alone on a thin line is mostly keys (perf: a quarter of the bytes).
_VERSION, _SUITE, _KIND, _CASE, _OFFICE, _DEVICE, _SEQ, _PREV, _PARENTS = range(1, 10)
_STAFF, _ROLE, _CLAIMED, _EVIDENCE, _REFERENCE, _BODY = range(10, 16)


@dataclass(frozen=True, slots=True)
class Reference:
    """The versions of hub-published data that the author worked with; 0 means none."""

    catalogue: int = 0
    calendar: int = 0
    rules: int = 1


@dataclass(frozen=True, slots=True)
class Op:
    """One signed fact. Immutable; `blob` is what was signed plus the signature, kept byte for byte.

    id: 32 bytes, hash of the signed content. case: id of the op that opened the case (its own id if it opened it).
    seq: 1, 2, 3 … without gaps per device; prev: id of the device's op before it (None for the first).
    parents: sorted ids of the heads of the case that the author saw; empty exactly for an opening op.
    claimed_ms: what the author's clock said, ms since 1970 UTC; decides nothing by itself (law 5).
    evidence: (last signed hub time in ms, ms elapsed since by the machine's own counter or -1 if unknown), or None.
    extra: fields of a later format version, unknown here, inside the signed bytes.
    """

    id: bytes
    blob: bytes
    kind: str
    case: bytes
    office: str
    device: bytes
    seq: int
    prev: bytes | None
    parents: tuple[bytes, ...]
    staff: str
    role: str
    claimed_ms: int
    evidence: tuple[int, int] | None
    reference: Reference
    body: Mapping[str, Any]
    suite: int = 1
    extra: Mapping[int, Any] = field(default_factory=dict)

    @property
    def opens(self) -> bool:
        """True for the op that opened its case."""
        return not self.parents


@dataclass(frozen=True, slots=True)
class Draft:
    """What the author wants to say, before sequence, id and signature. `case` is None for an opening op."""

    kind: str
    case: bytes | None
    parents: Sequence[bytes]
    staff: str
    role: str
    claimed_ms: int
    body: Mapping[str, Any]
    evidence: tuple[int, int] | None = None
    reference: Reference = Reference()


def sign_op(
    draft: Draft, *, office: str, device: bytes, seed: bytes, seq: int, prev: bytes | None, suite_number: int = 1
) -> Op:
    """The signed op for `draft` as number `seq` of this device.

    Raises:  LocalProtocolError if the draft cannot be encoded, is too large, or names too many parents.
    Source:  docs/protocol/op.md, "Building".
    """
    if (draft.case is None) != (not draft.parents) or len(draft.parents) > PARENTS_MAX or (seq == 1) != (prev is None):
        raise LocalProtocolError(
            "an op names its case and 1 to 64 parents, or neither; and a previous op from number 2 on"
        )
    content: dict[int, Any] = {
        _VERSION: VERSION,
        _SUITE: suite_number,
        _KIND: draft.kind,
        _OFFICE: office,
        _DEVICE: device,
        _SEQ: seq,
        _STAFF: draft.staff,
        _ROLE: draft.role,
        _CLAIMED: draft.claimed_ms,
        _REFERENCE: [draft.reference.catalogue, draft.reference.calendar, draft.reference.rules],
        _BODY: dict(draft.body),
    }
    if draft.case is not None:
        content[_CASE] = draft.case
        content[_PARENTS] = sorted(set(draft.parents))
    if prev is not None:
        content[_PREV] = prev
    if draft.evidence is not None:
        content[_EVIDENCE] = list(draft.evidence)
    signed = canonical.encode(content)
    signature = suite(suite_number).sign(seed, DOMAIN_SIGNATURE, signed)
    blob = canonical.encode([signed, signature])
    if len(blob) > OP_BYTES_MAX:
        raise LocalProtocolError(f"an op of {len(blob)} bytes, at most {OP_BYTES_MAX} are allowed")
    return parse_op(blob)


def parse_op(blob: bytes) -> Op:
    """The op in `blob`, its form checked, its signature not (see `check_signature`).

    Raises:  TooLarge, MalformedBytes, UnknownVersion.
    """
    signed, _signature = _parts(blob)
    content = canonical.decode(signed)
    if not isinstance(content, dict):
        raise MalformedBytes("the content of an op is a map")
    if content.get(_VERSION) != VERSION:
        raise UnknownVersion(f"op format version {content.get(_VERSION)!r}; this program speaks {VERSION}")
    number = content.get(_SUITE)
    if type(number) is not int:
        raise MalformedBytes("an op names its suite by number")
    op_id = suite(number).hash(DOMAIN_ID, signed)
    try:
        return _op_of(content, op_id, blob, number)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBytes(f"an op with a missing or wrong field: {error}") from error


def check_signature(op: Op, public: bytes) -> None:
    """Raises BadSignature unless the device with this signing key signed `op`. About 160 µs."""
    signed, signature = _parts(op.blob)
    suite(op.suite).verify(public, DOMAIN_SIGNATURE, signed, signature)


def _parts(blob: bytes) -> tuple[bytes, bytes]:
    found = canonical.decode_pair(blob, bytes_max=OP_BYTES_MAX)
    if found is not None:
        return found
    pair = canonical.decode(blob, bytes_max=OP_BYTES_MAX)
    if not (isinstance(pair, list) and len(pair) == 2 and all(type(part) is bytes for part in pair)):
        raise MalformedBytes("an op is a pair of signed bytes and signature")
    return pair[0], pair[1]


def _op_of(content: dict[int, Any], op_id: bytes, blob: bytes, number: int) -> Op:
    parents = tuple(_id(item) for item in _typed(content.get(_PARENTS, []), list))
    if list(parents) != sorted(set(parents)) or len(parents) > PARENTS_MAX:
        raise ValueError("parents are sorted, different, at most 64")
    if (_CASE in content) != bool(parents) or (_PARENTS in content and not parents):
        raise ValueError("case and parents come together")
    seq = _typed(content[_SEQ], int)
    if seq < 1 or (seq == 1) != (_PREV not in content):
        raise ValueError("sequence and previous op do not fit")
    evidence = content.get(_EVIDENCE)
    if evidence is not None:
        hub_ms, elapsed = evidence
        evidence = (_typed(hub_ms, int), _typed(elapsed, int))
    catalogue, calendar, rules = content[_REFERENCE]
    device = _typed(content[_DEVICE], bytes)
    if len(device) != INCARNATION_BYTES:
        raise ValueError("a device is named by 8 bytes")
    body = _typed(content[_BODY], dict)
    if any(type(key) is not str for key in body):
        raise ValueError("the keys of a body are text")
    return Op(
        id=op_id,
        blob=blob,
        kind=_typed(content[_KIND], str),
        case=_id(content[_CASE]) if parents else op_id,
        office=_typed(content[_OFFICE], str),
        device=device,
        seq=seq,
        prev=_id(content[_PREV]) if seq > 1 else None,
        parents=parents,
        staff=_typed(content[_STAFF], str),
        role=_typed(content[_ROLE], str),
        claimed_ms=_typed(content[_CLAIMED], int),
        evidence=evidence,
        reference=Reference(_typed(catalogue, int), _typed(calendar, int), _typed(rules, int)),
        body=body,
        suite=number,
        extra={key: value for key, value in content.items() if not _VERSION <= key <= _BODY},
    )


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")
    return value


def _id(value: Any) -> bytes:
    if type(value) is not bytes or len(value) != ID_BYTES:
        raise TypeError("an id has 32 bytes")
    return value
