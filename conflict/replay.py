"""The replay: which acts count when several offices acted without hearing of each other.

For: the state at the causal point of every op (what its author could know), and the state of the whole case.
May not: hold field values or materials (fields.py, materials.py); use arrival order or clocks.
Spec: docs/conflict/fold.md, "Replay"; decision 0020.  What counts against what: counting.py and matrix.py.

An op is *live* if it moves the state and was allowed where its author stood; that verdict rests on its ancestors
alone and never changes. The state of a set of ops is found by setting the live ones down in one order, stronger
acts as early as what they build upon permits, and asking of each whether it still counts. Along a chain the next
state is one step; where branches join, only the part that differs is set down again.
"""

from __future__ import annotations

import heapq
import itertools
from typing import NamedTuple

from conflict.history import History, bits
from conflict.kinds import OpKind, level_rank
from conflict.matrix import FURTHER, STRENGTH
from conflict.standing import Ledger, Loss, stands
from conflict.state import State, acting_office, advance, voided_opener

TANGLE_MAX = 64  # live ops of one join that are set down anew; a wider one takes the state of its strongest branch
REWIND_MAX = 256  # live ops that a veto may lie above its target and still be felt at the causal points above it
Key = tuple[int, int, int, int]


class Losses(NamedTuple):
    """A shared list: this loss, and those before it."""

    loss: Loss
    before: Losses | None


class Node:
    """The state after a causally closed set of ops: `frontier` its topmost live ops, `under` all that is below them.

    base: the node from which `anew` (indexes in order) is set down; None for nothing at all. exact: False if a tangle
    wider than TANGLE_MAX lies below. step: True if `anew` is one op that simply follows the base.
    """

    __slots__ = ("anew", "base", "exact", "frontier", "losses", "state", "step", "under")

    def __init__(self, frontier: int, under: int, base: Node | None, anew: list[int], *, exact: bool) -> None:
        self.frontier = frontier
        self.under = under
        self.base = base
        self.anew = anew
        self.exact = exact
        self.step = False
        self.state: State | None = None
        self.losses: Losses | None = None


class Outcome(NamedTuple):
    """The whole case: its state and, per index, why a live op does not count."""

    state: State
    losses: dict[int, Loss]


class Replay:
    """Built op by op, in the order of the history: `base_of`, then `admit` or `pass_by`; at the end `outcome`.

    steps: how many times an op was weighed; tests bound it, seconds do not.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._live = 0
        self._vetoes: dict[int, int] = {}  # index of a veto -> index of its target
        self._base: dict[int, Node] = {}
        self._after: list[Node] = []
        self._joins: dict[int, Node] = {}
        self._start = Node(0, 0, None, [], exact=True)
        self._start.state = State()
        self._strengths: dict[int, Key] = {}
        self.steps = 0

    # --- building -------------------------------------------------------------------------------------------------

    def base_of(self, index: int) -> Node:
        """What the author of this op could know: the join of the states after its parents."""
        parents = self._history.parents[index]
        if not parents:
            return self._start
        if len(parents) == 1:
            return self._after[parents[0]]
        return self._joined([self._after[parent] for parent in parents])

    def state_of(self, node: Node) -> State:
        """The state after the node's ops; worked out once."""
        if node.state is None:
            self._settle(node)
        assert node.state is not None
        return node.state

    def admit(self, index: int, base: Node) -> None:
        """Count the op among the live ones: it was allowed in the state of `base`."""
        self._base[index] = base
        self._live |= 1 << index
        before = self._history.before[index]
        node = Node(1 << index, before, base, [index], exact=base.exact)
        node.step = True
        op = self._history.ops[index]
        if op.kind == OpKind.VETO:
            target = self._history.index.get(op.body["of"])
            if target is not None and self._history.ops[target].kind != OpKind.VETO:
                self._vetoes[index] = target
                node.step = False
                if self._live & before & 1 << target:
                    plan = self._plan(self._live & (before | 1 << index), REWIND_MAX)
                    node.base, node.anew = plan or (base, [])
                    node.exact = base.exact and plan is not None
        elif op.kind == OpKind.RESOLVE:
            node.step = False
        self._after.append(node)

    def pass_by(self, base: Node) -> None:
        """The op moves nothing, or was refused: those who build upon it see the state that it saw."""
        self._after.append(base)

    def outcome(self) -> Outcome:
        """Replay what is not settled yet, exactly, whatever its width."""
        base, anew = self._plan(self._live, len(self._history.ops), exactly=True) or (self._start, [])
        node = Node(0, self._live, base, anew, exact=True)
        self._settle(node)
        losses: dict[int, Loss] = {}
        chain = node.losses
        while chain is not None:
            losses.setdefault(chain.loss.op, chain.loss)
            chain = chain.before
        assert node.state is not None
        return Outcome(node.state, losses)

    # --- joining --------------------------------------------------------------------------------------------------

    def _joined(self, nodes: list[Node]) -> Node:
        frontier = under = 0
        for node in nodes:
            frontier |= node.frontier
            under |= node.under
        frontier &= ~under
        for node in nodes:
            if node.frontier == frontier:
                return node
        found = self._joins.get(frontier)
        if found is None:
            exact = all(node.exact for node in nodes)
            found = self._joins[frontier] = self._join(frontier, under, exact)
        return found

    def _join(self, frontier: int, under: int, exact: bool) -> Node:
        """A new node for branches that differ: set down anew, or if they are too tangled, the strongest branch's."""
        plan = self._plan((frontier | under) & self._live, TANGLE_MAX) if exact else None
        if plan is not None:
            return Node(frontier, under, plan[0], plan[1], exact=True)
        tips = itertools.islice(bits(frontier), TANGLE_MAX)
        return Node(frontier, under, self._after[max(tips, key=self._strength)], [], exact=False)

    def _plan(self, closure: int, limit: int, *, exactly: bool = False) -> tuple[Node, list[int]] | None:
        """Where to start, and what to set down from there, to reach the state after `closure`. None beyond `limit`.

        The start is the highest cut: everything above it builds upon everything below it. A veto lies above the cut
        only together with its target. exactly: start from an exact node.
        """
        before = self._history.before
        rest, common, targets = closure, -1, 0
        above: list[int] = []
        while rest:
            top = rest.bit_length() - 1
            rest ^= 1 << top
            above.append(top)
            if len(above) > limit:
                return None
            common &= before[top]
            if top in self._vetoes:
                targets |= 1 << self._vetoes[top]
            if not rest & ~common and not targets & rest:
                base = self._base[top] if rest else self._start
                if base.exact or not exactly:
                    return base, self._in_order(above)
        return self._start, self._in_order(above)

    # --- order ----------------------------------------------------------------------------------------------------

    def _strength(self, index: int) -> Key:
        """Greater is stronger. Conclusion and delivery weigh as much as the office whose decision they carry out."""
        known = self._strengths.get(index)
        if known is None:
            known = self._strengths[index] = self._weighed(index)
        return known

    def _weighed(self, index: int) -> Key:
        op = self._history.ops[index]
        kind = OpKind(op.kind)
        office = acting_office(op)
        if kind in (OpKind.CONCLUDE, OpKind.DELIVER):
            office = self.state_of(self._base[index]).holder
        further = FURTHER.get(kind, 0)
        if kind is OpKind.ENTRUST:
            further = 0 if op.body.get("ends") is True else 1
        return STRENGTH.get(kind, 0), level_rank(office), further, -int.from_bytes(op.id, "big")

    def _in_order(self, above: list[int]) -> list[int]:
        """Every op after those that its author had seen, stronger ones as early as that permits.

        Found from the end: of the ops that nobody left has built upon, the weakest goes last.
        """
        if len(above) < 2:
            return above
        members = set(above)
        edges = self._edges(above)
        left = dict.fromkeys(edges, 0)
        for parents in edges.values():
            for parent in parents:
                left[parent] += 1
        weakest: Key = (-1, 0, 0, 0)
        keys = {index: self._strength(index) if index in members else weakest for index in edges}
        heap = [(keys[index], index) for index, count in left.items() if count == 0]
        heapq.heapify(heap)
        backwards: list[int] = []
        while heap:
            _, index = heapq.heappop(heap)
            if index in members:
                backwards.append(index)
            for parent in edges[index]:
                left[parent] -= 1
                if left[parent] == 0:
                    heapq.heappush(heap, (keys[parent], parent))
        backwards.reverse()
        return backwards

    def _edges(self, above: list[int]) -> dict[int, list[int]]:
        """Index -> indexes that come before it, enough of them to give the whole order among `above`.

        A few ops: all pairs, from the ancestor bits. Many: the graph itself between the lowest and the highest of
        them, with the ops in between that move nothing.
        """
        history = self._history
        if len(above) <= TANGLE_MAX:
            mask = 0
            for index in above:
                mask |= 1 << index
            return {index: list(bits(history.before[index] & mask)) for index in above}
        low, high = min(above), max(above)
        return {index: [parent for parent in history.parents[index] if parent >= low] for index in range(low, high + 1)}

    # --- setting down ---------------------------------------------------------------------------------------------

    def _settle(self, node: Node) -> None:
        stack = [node]
        while stack:
            top = stack[-1]
            base = top.base
            if base is not None and base.state is None:
                stack.append(base)
                continue
            stack.pop()
            if top.state is None:
                self._set_down(top, base or self._start)

    def _set_down(self, node: Node, base: Node) -> None:
        state, losses = base.state, base.losses
        assert state is not None
        history = self._history
        if node.step:
            self.steps += 1
            node.state, node.losses = advance(state, history.ops[node.anew[0]]), losses
            return
        vetoed = {self._vetoes[index]: index for index in sorted(node.anew, reverse=True) if index in self._vetoes}
        ledger = Ledger(history, (index for index in node.anew if index not in vetoed))
        for index in node.anew:
            self.steps += 1
            op = history.ops[index]
            if index in vetoed:
                losses = Losses(Loss(index, "hub_veto", vetoed[index]), losses)
                ledger.lose(index, vetoed[index])
                if op.opens:
                    state = voided_opener(state, op)
                continue
            if op.kind == OpKind.VETO:
                continue
            seen = self._base[index].state
            after, loss = stands(index, state, seen, ledger)
            if loss is not None:
                losses = Losses(loss, losses)
                ledger.lose(index, loss.by)
                continue
            ledger.count(index, state, after)
            state = after
        node.state, node.losses = state, losses
