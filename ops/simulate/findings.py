"""What the checks found, sorted by what it would mean for a person.

For: one list per kind of harm, and the ops whose disk died before anybody else held them, which is no fault of ours.
May not: find anything by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT_MAX = 60  # sentences kept of one kind


@dataclass
class Findings:
    """lost: said to be saved or receipted, and gone. diverged: two holders of a case differ, or something did not arrive.
    doubled: an effect happened twice. silent: an op without a visible end. errors: exceptions that nobody foresaw.
    lost_with_disk: ops that only a destroyed disk had held."""

    lost: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost_with_disk: set[bytes] = field(default_factory=set)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.diverged or self.doubled or self.silent or self.errors)

    def add(self, kind: str, sentence: str) -> None:
        found: list[str] = getattr(self, kind)
        if len(found) < KEPT_MAX and sentence not in found:
            found.append(sentence)

    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in ("lost", "diverged", "doubled", "silent", "errors")}

    def sentences(self) -> list[str]:
        return [f"{name}: {one}" for name in self.counts() for one in getattr(self, name)]
