"""The clerks of a chaos run: one thread per office, every act one run of `liandong case`, whatever the weather.

For: cases that keep entering in the villages and moving to the township and the county.
May not: retry an act (each command is meant once); look into a store.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import random
import threading
from itertools import count
from pathlib import Path

from ops.chaos.book import Book
from ops.demo.cast import HALL, WINDOWS, identity
from ops.demo.processes import DemoFailed, liandong

ITEM = "JF-MZ-001"  # 低保: villages accept, the county decides
PAUSE_S = (0.05, 0.8)
OPEN_SHARE = 0.4  # of a village's acts
NOTE_SHARE = 0.2
_numbers = count(1)
NEXT = {  # stage -> the command, its words, and the stage after it
    "forward to hall": ("forward", ("--to", HALL), "take at hall"),
    "take at hall": ("take", (), "examine at hall"),
    "examine at hall": ("examine", ("--opinion", "情况属实,同意上报。"), "forward to county"),
    "forward to county": ("forward", ("--to", WINDOWS), "take at county"),
    "take at county": ("take", (), "examine at county"),
    "examine at county": ("examine", ("--opinion", "符合条件。"), "decide"),
    "decide": ("decide", ("--decision", "granted", "--opinion", "准予。"), ""),
}


class Clerk(threading.Thread):
    """One office's worker. Ends after the act in hand once `stop` is set."""

    def __init__(self, office: str, directory: Path, book: Book, rng: random.Random, stop: threading.Event) -> None:
        super().__init__(name=f"clerk-{office}", daemon=True)
        self.office, self.directory = office, directory
        self.book, self.rng, self.over = book, rng, stop

    def run(self) -> None:
        while not self.over.wait(self.rng.uniform(*PAUSE_S)):
            waiting = self.book.at(self.office)
            if len(self.office) == 12 and (not waiting or self.rng.random() < OPEN_SHARE):
                self.open_case()
            elif waiting:
                case, stage = self.rng.choice(waiting)
                self.move_case(case, stage)

    def act(self, verb: str, *words: str) -> str | None:
        """One command; the case's id if it was called saved."""
        try:
            answer = liandong("case", verb, "--dir", str(self.directory), *words)
        except DemoFailed as error:
            self.book.note_broken(self.office, verb, str(error))
            return None
        entry = self.book.note(self.office, verb, answer)
        return entry.case if entry else None

    def open_case(self) -> None:
        """A new application of a new person."""
        number = next(_numbers)
        birth = f"19{50 + number // 365 % 50:02d}{1 + number // 28 % 12:02d}{1 + number % 28:02d}"
        applicant = ("--applicant", f"申请人{number}", "--id-number", identity(birth, f"{number % 1000:03d}"))
        case = self.act("accept", "--item", ITEM, *applicant, "--field", f"序号={number}")
        if case:
            self.book.move(case, "forward to hall", self.office)

    def move_case(self, case: str, stage: str) -> None:
        """The next act on a case, or a remark; a case that has not arrived yet is refused and tried later."""
        if self.rng.random() < NOTE_SHARE:
            self.act("note", case, "--text", f"备注{self.rng.randrange(10**6)}")
            return
        verb, words, after = NEXT[stage]
        if self.act(verb, case, *words):
            self.book.move(case, after, place_of(after, self.office))


def place_of(stage: str, office: str) -> str:
    """Which office does `stage`; nobody does the empty one."""
    if not stage:
        return ""
    if stage.endswith("at hall"):
        return HALL
    if stage.endswith("at county"):
        return WINDOWS
    return office
