"""Goal: offered ops stay on their way until they are settled, and a township's word moves the place only without gaps."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.flow import LIMIT_BYTES_FIRST, LIMIT_BYTES_MAX, LIMIT_BYTES_MIN, Flow
from protocol.lanes import EXPRESS, REST, Lane, Unlimited
from protocol.offers import SETTLE_MS, Offers, Upward


@dataclass
class Shelf:
    """Positions 1 to `top`, each an op as large as one batch, so that each is a batch of its own."""

    top: int
    settled: set[int] = field(default_factory=set)
    express: set[int] = field(default_factory=set)
    size: int = LIMIT_BYTES_FIRST

    def left(self, rank: int | None) -> list[int]:
        mine = (one for one in range(1, self.top + 1) if one not in self.settled)
        return [one for one in mine if rank is None or rank == (EXPRESS if one in self.express else REST)]

    def offers(self, after: int, *, bytes_max: int, count_max: int, rank: int | None = None) -> list[tuple[int, bytes]]:
        return [(one, b"o" * self.size) for one in self.left(rank) if one > after][:1]

    def lowest_unsettled(self, rank: int | None = None) -> int | None:
        return next(iter(self.left(rank)), None)

    def more(self, after: int, rank: int | None = None) -> bool:
        return any(one > after for one in self.left(rank))


class Lone(Offers):
    """One queue by itself, with room for four batches."""

    def hand_out(self, now_ms: int, shelf: Shelf) -> bool:
        self.look(now_ms, shelf)
        fits = self.flying < 4 * LIMIT_BYTES_FIRST and self.waits(now_ms, shelf)
        return fits and self.next(now_ms, shelf, batch=LIMIT_BYTES_FIRST) is not None

    @property
    def under_way(self) -> bool:
        return self.flying > 0


def offers() -> Lone:
    return Lone(lambda: 0.5, Flow())


def fly(lane: Lone, shelf: Shelf, now_ms: int) -> int:
    """Hand out what may leave now, in envelopes named by their number; returns how many."""
    count = 0
    while lane.hand_out(now_ms, shelf):
        count += 1
        lane.carried_by(b"envelope %d" % count)
    return count


def test_what_is_on_its_way_is_bounded() -> None:
    lane, shelf = offers(), Shelf(10)
    assert fly(lane, shelf, 0) == 4
    assert fly(lane, shelf, SETTLE_MS) == 0
    shelf.settled = {1, 2}
    assert fly(lane, shelf, SETTLE_MS) == 2


def test_the_limit_follows_the_line() -> None:
    flow = Flow()
    for at in range(0, 10_000, 1_000):
        flow.answered(at, at + 500)
    assert flow.limit == LIMIT_BYTES_MAX
    flow.answered(9_000, 30_000)  # sent before the last change: it says nothing about it
    assert flow.limit == LIMIT_BYTES_MAX
    for at in range(40_000, 400_000, 20_000):
        flow.answered(at, at + 9_000)
    assert flow.limit == LIMIT_BYTES_MIN
    flow.answered(500_000, 506_000)
    assert flow.limit == LIMIT_BYTES_MIN  # neither soon nor late: it is right as it is


def test_an_urgent_op_passes_a_full_window_and_no_other_does() -> None:
    up, shelf = Upward(lambda: 0.5), Shelf(10, size=4_000)
    gates = Unlimited()
    ranks: list[int] = []
    while (found := up.next(0, shelf, None, gates=gates, urgent_only=False)) is not None:
        ranks.append(found[1])
    assert set(ranks) == {REST} and up.crowded
    shelf.top, shelf.express = 11, {11}
    found = up.next(1, shelf, None, gates=gates, urgent_only=False)
    assert found is not None and found[1] == EXPRESS and found[0].urgent
    assert up.next(1, shelf, None, gates=gates, urgent_only=False) is None


def test_who_is_asked_to_wait_offers_urgent_cases_all_the_same() -> None:
    up, shelf = Upward(lambda: 0.5), Shelf(5, express={4}, size=4_000)
    found = up.next(0, shelf, None, gates=Unlimited(), urgent_only=True)
    assert found is not None and found[1] == EXPRESS
    assert up.next(0, shelf, None, gates=Unlimited(), urgent_only=True) is None


def test_a_rate_of_ops_holds_ops_and_no_urgent_case() -> None:
    class Shut(Unlimited):
        def ready(self, lane: Lane, mono_ms: int) -> bool:
            return lane != Lane.OPS

    up, shelf = Upward(lambda: 0.5), Shelf(5, express={4}, size=4_000)
    found = up.next(0, shelf, None, gates=Shut(), urgent_only=False)
    assert found is not None and found[1] == EXPRESS
    assert up.next(0, shelf, None, gates=Shut(), urgent_only=False) is None and not up.crowded


def test_a_case_that_becomes_urgent_below_one_on_its_way_does_not_wait_for_it() -> None:
    up, shelf = Upward(lambda: 0.5), Shelf(9, express={9}, size=4_000)
    up.next(0, shelf, None, gates=Unlimited(), urgent_only=True)
    shelf.express = {3, 9}
    found = up.next(1, shelf, None, gates=Unlimited(), urgent_only=True)
    assert found is not None and up.own[EXPRESS].flying == 8_000


def test_what_has_no_word_is_offered_again_after_a_pause() -> None:
    lane, shelf = offers(), Shelf(1)
    assert fly(lane, shelf, 0) == 1
    assert fly(lane, shelf, SETTLE_MS) == 0 and lane.under_way
    again = [ms for ms in range(SETTLE_MS + 1, 4 * SETTLE_MS, 250) if fly(lane, shelf, ms)]
    assert again, "it never gives up"


def test_held_moves_the_place_only_over_a_gapless_run() -> None:
    lane, shelf = offers(), Shelf(4)
    fly(lane, shelf, 0)
    assert lane.held(b"envelope 2") == (), "the first is not held: nothing may be forgotten"
    assert lane.held(b"of nobody") == ()
    assert lane.held(b"envelope 1") == (1, 2)
    assert lane.held(b"envelope 4") == (1, 2)
    assert lane.held(b"envelope 3") == (1, 2, 3, 4)


def test_an_old_word_about_forgotten_flights_means_nothing() -> None:
    lane, shelf = offers(), Shelf(2)
    fly(lane, shelf, 0)
    lane.forget_flight()
    assert lane.held(b"envelope 1") == ()


def test_what_is_unsettled_again_below_what_was_offered_is_offered_again() -> None:
    lane, shelf = offers(), Shelf(3)
    fly(lane, shelf, 0)
    shelf.settled = {1, 2, 3}
    assert fly(lane, shelf, 1) == 0 and not lane.under_way
    shelf.settled = {1, 3}
    assert fly(lane, shelf, 2) == 1
