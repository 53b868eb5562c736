"""The chaos run's own bookkeeping: what every command said, and where it must therefore be.

For: op ids that a command called saved, the offices that must hold each case, how far each case is, what was refused.
May not: look into a store; believe anything but what a command said on stdout.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from ops.demo.processes import Answer

TIERS = (12, 9, 6)  # lengths of the codes of village, township and county


@dataclass(frozen=True, slots=True)
class Entry:
    """One act that was called saved. Ids are hex."""

    op: str
    case: str
    number: str
    office: str
    verb: str


class Book:
    """Filled by the clerks' threads, read by the judge afterwards."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.refused: Counter[str] = Counter()
        self.crossings = 0  # sticks that went up and came back with an answer
        self.broken: list[str] = []  # commands that ended without an answer, or with an error of the program itself
        self._stage: dict[str, tuple[str, str]] = {}  # case -> what happens next, and at which office
        self._lock = threading.Lock()

    def note(self, office: str, verb: str, answer: Answer) -> Entry | None:
        """Write down what a `case` command answered; the entry if it was saved."""
        with self._lock:
            if answer.code == 0:
                said = answer.document
                entry = Entry(said["op"], said["case"], said["number"], office, verb)
                self.entries.append(entry)
                return entry
            self._refusal(office, verb, answer)
            return None

    def note_refused(self, office: str, verb: str, answer: Answer) -> None:
        """Write down that a command which saves no act was refused."""
        with self._lock:
            self._refusal(office, verb, answer)

    def note_crossing(self) -> None:
        """A stick went to the county and its answer came back."""
        with self._lock:
            self.crossings += 1

    def _refusal(self, office: str, verb: str, answer: Answer) -> None:
        code = str(answer.document.get("error", {}).get("code", "none"))
        self.refused[code] += 1
        if code in ("internal", "none"):
            self.broken.append(f"{office} {verb}: {answer.sentence}")

    def note_broken(self, office: str, verb: str, reason: str) -> None:
        """A command that gave no answer at all."""
        with self._lock:
            self.broken.append(f"{office} {verb}: {reason}")

    def move(self, case: str, stage: str, office: str) -> None:
        """The case now waits for `stage` at `office`."""
        with self._lock:
            self._stage[case] = (stage, office)

    def at(self, office: str) -> list[tuple[str, str]]:
        """(case, stage) of what waits at `office`, oldest first."""
        with self._lock:
            return [(case, stage) for case, (stage, where) in self._stage.items() if where == office]

    def must_hold(self) -> dict[str, set[str]]:
        """Office to the op ids that it must hold: a case is held by its opener's office, all above it, and who acted on it."""
        offices: dict[str, set[str]] = {}
        for entry in self.entries:
            offices.setdefault(entry.case, set()).update(upward(entry.office))
        held: dict[str, set[str]] = {}
        for entry in self.entries:
            for office in offices[entry.case]:
                held.setdefault(office, set()).add(entry.op)
        return held


def upward(office: str) -> set[str]:
    """An office and those above it inside the county, by the codes."""
    return {office[:length] for length in TIERS if length <= len(office)}
