"""Fields: every write is kept; concurrent writes of one field are settled by the rule of its class, or by a person.

For: which writes nobody has overwritten knowingly, the rule that chooses between them, and what lost.
May not: choose by time; merge identity data (a person does); know statuses.
Spec: docs/conflict/fields.md.  The rules of a released rule set are never edited (rules.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from conflict.contest import conflict_id
from conflict.history import History, bits
from conflict.kinds import FieldClass, OpKind, level_rank


class Write(NamedTuple):
    """One value that somebody gave a field. at: index of its op in the history."""

    at: int
    value: str


class FieldRule(NamedTuple):
    """How concurrent writes of one class are settled.

    `order` ranks a write (greatest first) by (is the holder's, level of its office); None: a person decides.
    `union`: all values stay, joined.
    """

    name: str
    order: Callable[[bool, int], int] | None = None
    union: bool = False


class FieldConflict(NamedTuple):
    """A clash of writes. by: index of the later write that settled it, -1 if a rule did or nobody yet."""

    id: str
    field: str
    open: bool
    rule: str
    writes: tuple[Write, ...]  # in the order in which a person is offered them
    proposal: int | None  # index into writes
    by: int


class FieldView(NamedTuple):
    """What a field holds: the write that is shown, the value (joined for a union), what lost to which rule."""

    shown: Write
    value: str
    contested: bool
    losing: tuple[tuple[Write, str], ...]


OFFERED_MAX = 256  # contending writes of one field that a person is offered; the others are listed as losing
LATER_EDIT = "later_edit"  # somebody who had seen all of the values wrote a new one, or chose

# Rule set 1. Contact: whoever is nearest to the applicant heard it from the applicant. Opinion, decision, fee: the
# authority of the stage. Identity and everything unnamed: a person.
FIELD_RULES_1: Mapping[FieldClass, FieldRule] = {
    FieldClass.CONTACT: FieldRule("nearest_office", lambda holds, level: -level),
    FieldClass.IDENTITY: FieldRule("person_decides"),
    FieldClass.MATERIAL: FieldRule("union", union=True),
    FieldClass.NOTE: FieldRule("union", union=True),
    FieldClass.OPINION: FieldRule("higher_office", lambda holds, level: level),
    FieldClass.DECISION: FieldRule("higher_office", lambda holds, level: level),
    FieldClass.FEE: FieldRule("higher_office", lambda holds, level: level),
    FieldClass.OTHER: FieldRule("person_decides"),
}


class Fields:
    """The writes of one case, added in the order of its history."""

    def __init__(self, history: History, rules: Mapping[FieldClass, FieldRule]) -> None:
        self._history = history
        self._rules = rules
        self._said: list[tuple[int, Mapping[str, str]]] = []  # not sorted by field yet
        self._writers: set[int] = set()
        self._by_field: dict[str, dict[int, str]] = {}
        self._mask_of: dict[str, int] = {}

    def add(self, index: int, fields: Mapping[str, str]) -> None:
        """The op at `index`, which was allowed, writes these values."""
        self._said.append((index, fields))
        self._writers.add(index)

    @property
    def _values(self) -> dict[str, dict[int, str]]:
        self._sort()
        return self._by_field

    @property
    def _masks(self) -> dict[str, int]:
        self._sort()
        return self._mask_of

    def _sort(self) -> None:
        """Most cases are folded without anybody asking for a field: sorted by field only on demand."""
        for index, fields in self._said:
            for field, value in fields.items():
                self._by_field.setdefault(field, {})[index] = value
                self._mask_of[field] = self._mask_of.get(field, 0) | 1 << index
        self._said.clear()

    def names(self) -> list[str]:
        """All fields ever written, sorted."""
        return sorted(self._values)

    def rewritten(self) -> list[str]:
        """Fields written more than once, sorted: only about these can there be a conflict."""
        if len(self._writers) < 2:
            return []
        return sorted(field for field, values in self._values.items() if len(values) > 1)

    def standing(self, field: str, within: int, limit: int = OFFERED_MAX) -> tuple[Write, ...]:
        """The writes among the ops of `within` that no other of them overwrote knowingly, in the order of offer.

        At most `limit` of them, those furthest along the history.
        """
        values = self._values.get(field, {})
        left = self._masks.get(field, 0) & within
        found: list[int] = []
        while left and len(found) < limit:
            top = left.bit_length() - 1
            found.append(top)
            left &= ~(self._history.before[top] | 1 << top)
        return self._offered(Write(index, values[index]) for index in found)

    def contested(self, field: str, within: int) -> tuple[str, tuple[Write, ...]] | None:
        """The conflict about `field` that somebody sees who has seen `within`: its id and writes. None: no clash."""
        writes = self.standing(field, within)
        if len({write.value for write in writes}) < 2:
            return None
        return self._id(field, writes), writes

    def view(
        self, field: str, kind: FieldClass, void: int, holder: str
    ) -> tuple[FieldView, list[FieldConflict]] | None:
        """The field as everybody sees it, and its conflicts, open and settled. None if the hub voided every write."""
        within = self._masks[field] & ~void
        if not within:
            return None
        values = self._values[field]
        if len(values) == 1:  # most fields of most cases
            ((at, value),) = values.items()
            return FieldView(Write(at, value), value, False, ()), []
        conflicts = self._past(field, within)
        writes = self.standing(field, within, len(self._values[field]))
        rule = self._rule(kind, writes)
        ranked = self._ranked(writes, rule, holder)
        shown = ranked[0]
        differing = len({write.value for write in writes}) > 1
        decided = self._decided(writes, rule, holder)
        contested = differing and not decided
        name = rule.name if decided else "open"
        losing = [(write, name) for write in ranked[1:] if write.value != shown.value and not rule.union]
        if differing:
            offered = self.standing(field, within)
            proposal = offered.index(shown) if kind is not FieldClass.IDENTITY and shown in offered else None
            name_of = self._id(field, offered)
            conflicts.append(FieldConflict(name_of, field, contested, rule.name, offered, proposal, -1))
        seen = {write.at for write, _ in losing} | {write.at for write in writes}
        for conflict in conflicts:
            if conflict.by >= 0:
                losing += [
                    (write, LATER_EDIT)
                    for write in conflict.writes
                    if write.at not in seen and write.value != shown.value
                ]
                seen |= {write.at for write in conflict.writes}
        value = "\n".join(dict.fromkeys(write.value for write in ranked)) if rule.union else shown.value
        return FieldView(shown, value, contested, tuple(losing)), conflicts

    def _past(self, field: str, within: int) -> list[FieldConflict]:
        """Clashes that a later write by somebody who had seen them settled. Each write is passed once."""
        values = self._values[field]
        found: list[FieldConflict] = []
        overwritten = 0
        for index in sorted(values):
            if not within >> index & 1:
                continue
            newly = within & self._history.before[index] & ~overwritten
            overwritten |= newly
            if newly & (newly - 1):
                writes = self._offered(Write(other, values[other]) for other in bits(newly))
                if len({write.value for write in writes}) > 1:
                    name = self._id(field, writes)
                    found.append(FieldConflict(name, field, False, LATER_EDIT, writes, None, index))
        return found

    def _rule(self, kind: FieldClass, writes: tuple[Write, ...]) -> FieldRule:
        """The rule of the class; but what people settled differently goes back to people."""
        chosen = sum(1 for write in writes if self._history.ops[write.at].kind == OpKind.RESOLVE)
        return FieldRule("settled_differently") if chosen > 1 else self._rules[kind]

    def _decided(self, writes: tuple[Write, ...], rule: FieldRule, holder: str) -> bool:
        """True if the rule leaves no two different values on its highest rank."""
        if rule.union or len({write.value for write in writes}) < 2:
            return True
        if rule.order is None:
            return False
        ranks = {write: rule.order(self._office(write) == holder, level_rank(self._office(write))) for write in writes}
        best = max(ranks.values())
        return len({write.value for write, rank in ranks.items() if rank == best}) == 1

    def _ranked(self, writes: tuple[Write, ...], rule: FieldRule, holder: str) -> list[Write]:
        """The write to show first: by the rule, or while a person is awaited the holder's, then the higher office's."""

        def key(write: Write) -> tuple[int, int, int]:
            office = self._office(write)
            level = level_rank(office)
            if rule.order is not None:
                return -rule.order(office == holder, level), 0, 0
            return 0, -int(office == holder), -level

        return sorted(writes, key=key)

    def _office(self, write: Write) -> str:
        return self._history.ops[write.at].office

    def _offered(self, writes: Iterable[Write]) -> tuple[Write, ...]:
        return tuple(sorted(writes, key=lambda write: self._history.ops[write.at].id))

    def _id(self, field: str, writes: tuple[Write, ...]) -> str:
        return conflict_id("field", field, (self._history.ops[write.at].id for write in writes))
