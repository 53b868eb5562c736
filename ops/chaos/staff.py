"""The clerks of a chaos run: one thread per office, every act one run of `liandong case`, whatever the weather.

For: cases that keep entering in the villages and moving to the township and the county, with remarks and papers; now
and then a stick.
May not: retry an act (each command is meant once); look into a store.
Manual: docs/operating/chaos.md.
"""

from __future__ import annotations

import random
import threading
from itertools import count

from ops.chaos.book import Book
from ops.chaos.stage import COUNTY, VILLAGES, Stage
from ops.demo.cast import HALL, WINDOWS, identity
from ops.demo.processes import Answer, DemoFailed

ITEM = "JF-MZ-001"  # 低保: villages accept, the county decides
PAUSE_S = (0.05, 0.6)
OPEN_SHARE = 0.3  # of a village's acts
NOTE_SHARE = 0.15
PAPER_SHARE = 0.1
PAPER_BYTES = (500, 40_000)
STICK_SHARE = 0.04  # of a village's acts
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
    """One office's worker at the stage's desk of that office. Ends after the act in hand once `stop` is set."""

    def __init__(self, office: str, stage: Stage, book: Book, rng: random.Random, stop: threading.Event) -> None:
        super().__init__(name=f"clerk-{office}", daemon=True)
        self.office, self.directory = office, stage.directory(office)
        self.stage, self.desk = stage, stage.desks[office]
        self.book, self.rng, self.over = book, rng, stop
        self._sticks = count(1)

    def run(self) -> None:
        while not self.over.wait(self.rng.uniform(*PAUSE_S)):
            try:
                self._act()
            except DemoFailed as error:
                self.book.note_broken(self.office, "a command", str(error))

    def _act(self) -> None:
        waiting = self.book.at(self.office)
        if self.office in VILLAGES and self.rng.random() < STICK_SHARE:
            self.carry_stick()
        elif self.office in VILLAGES and (not waiting or self.rng.random() < OPEN_SHARE):
            self.open_case()
        elif waiting:
            case, stage = self.rng.choice(waiting)
            self.move_case(case, stage)

    def act(self, verb: str, *words: str) -> str | None:
        """One command; the case's id if it was called saved."""
        answer = self.desk.run("case", verb, "--dir", str(self.directory), *words)
        entry = self.book.note(self.office, verb, answer)
        return entry.case if entry else None

    def carry_stick(self) -> None:
        """What the office holds goes to the county on a stick, and the county's answer comes back; each step may be refused."""
        bundle = self.stage.room / f"stick-{self.office}-{next(self._sticks)}.ldb"
        steps = (
            (self.desk, "export", ("--dir", str(self.directory), "--to", str(bundle))),
            (self.stage.desks[COUNTY], "import", ("--dir", str(self.stage.hub), str(bundle))),
        )
        answer = Answer(0, {}, "")
        for desk, verb, words in steps:
            answer = desk.run("bundle", verb, *words)
            if answer.code:
                self.book.note_refused(self.office, f"bundle {verb}", answer)
                return
        back = self.desk.run("bundle", "import", "--dir", str(self.directory), str(answer.document["answer"]))
        if back.code:
            self.book.note_refused(self.office, "bundle import", back)
        else:
            self.book.note_crossing()

    def attach(self, case: str) -> None:
        """A paper of a size that takes a thin line some seconds."""
        paper = self.stage.room / f"paper-{self.office}.pdf"
        paper.write_bytes(b"%PDF-1.4 " + self.rng.randbytes(self.rng.randrange(*PAPER_BYTES)))
        self.act("attach", case, str(paper), "--material", "证明")

    def open_case(self) -> None:
        """A new application of a new person."""
        number = next(_numbers)
        birth = f"19{50 + number // 365 % 50:02d}{1 + number // 28 % 12:02d}{1 + number % 28:02d}"
        applicant = ("--applicant", f"申请人{number}", "--id-number", identity(birth, f"{number % 1000:03d}"))
        case = self.act("accept", "--item", ITEM, *applicant, "--field", f"序号={number}")
        if case:
            self.book.move(case, "forward to hall", self.office)

    def move_case(self, case: str, stage: str) -> None:
        """The next act on a case, or a remark, or a paper; a case that has not arrived yet is refused and tried later."""
        chance = self.rng.random()
        if chance < NOTE_SHARE:
            self.act("note", case, "--text", f"备注{self.rng.randrange(10**6)}")
            return
        if chance < NOTE_SHARE + PAPER_SHARE:
            self.attach(case)
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
