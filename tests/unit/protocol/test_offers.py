"""Goal: offered ops stay on their way until they are settled, and a township's word moves the place only without gaps."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.offers import BATCH_PLAIN_BYTES_FIRST, SETTLE_MS, WINDOW_ENVELOPES, Offers


@dataclass
class Shelf:
    """Positions 1 to `top`, each an op as large as the first budget, so that each is a batch of its own."""

    top: int
    settled: set[int] = field(default_factory=set)

    def offers(self, after: int, *, bytes_max: int, count_max: int) -> list[tuple[int, bytes]]:
        left = [one for one in range(1, self.top + 1) if one > after and one not in self.settled]
        return [(left[0], b"o" * BATCH_PLAIN_BYTES_FIRST)] if left else []

    def lowest_unsettled(self) -> int | None:
        return min((one for one in range(1, self.top + 1) if one not in self.settled), default=None)


def offers() -> Offers:
    return Offers(lambda: 0.5)


def fly(lane: Offers, shelf: Shelf, now_ms: int) -> int:
    """Hand out what may leave now, in envelopes named by their number; returns how many."""
    count = 0
    while lane.next(now_ms, shelf) is not None:
        count += 1
        lane.carried_by(b"envelope %d" % count)
    return count


def test_a_window_bounds_what_is_on_its_way() -> None:
    lane, shelf = offers(), Shelf(10)
    assert fly(lane, shelf, 0) == WINDOW_ENVELOPES
    assert fly(lane, shelf, SETTLE_MS) == 0
    shelf.settled = {1, 2}
    assert fly(lane, shelf, SETTLE_MS) == 2


def test_what_has_no_word_is_offered_again_after_a_pause() -> None:
    lane, shelf = offers(), Shelf(1)
    assert fly(lane, shelf, 0) == 1
    assert fly(lane, shelf, SETTLE_MS) == 0 and lane.under_way
    again = [ms for ms in range(SETTLE_MS + 1, 4 * SETTLE_MS, 250) if fly(lane, shelf, ms)]
    assert again, "it never gives up"


def test_held_moves_the_place_only_over_a_gapless_run() -> None:
    lane, shelf = offers(), Shelf(4)
    fly(lane, shelf, 0)
    assert lane.held(b"envelope 2") is None, "the first is not held: nothing may be forgotten"
    assert lane.held(b"of nobody") is None
    assert lane.held(b"envelope 1") == 2
    assert lane.held(b"envelope 4") == 2
    assert lane.held(b"envelope 3") == 4


def test_an_old_word_about_forgotten_flights_means_nothing() -> None:
    lane, shelf = offers(), Shelf(2)
    fly(lane, shelf, 0)
    lane.forget_flight()
    assert lane.held(b"envelope 1") is None


def test_what_is_unsettled_again_below_what_was_offered_is_offered_again() -> None:
    lane, shelf = offers(), Shelf(3)
    fly(lane, shelf, 0)
    shelf.settled = {1, 2, 3}
    assert fly(lane, shelf, 1) == 0 and not lane.under_way
    shelf.settled = {1, 3}
    assert fly(lane, shelf, 2) == 1
