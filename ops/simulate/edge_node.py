"""An office's device: the real node, service and sync loop on a simulated machine, as its daemon runs them.

For: acting, turning the loop, going on under new keys and asking the county to take them, as `edge run` does.
May not: do anything for the product that it should do by itself.
Manual: docs/testing.md, "The simulator".  The daemon that this follows step by step: edge/main.py, `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.config import RENEWING, STORE_NAME
from edge.desk import Saved
from edge.errors import JoinRefused
from edge.identity import read_account
from edge.incarnation import earlier_keys, renewal
from edge.join import finish
from edge.main import Node, open_node, renew_if_due
from edge.succession import request_bytes
from edge.sync_loop import SyncLoop, listens_to
from ops.simulate.disk import Disks
from ops.simulate.machine import Machine
from ops.simulate.network import Line
from ops.simulate.township import Network, SideLine, beside
from ops.simulate.world import SECOND, World
from protocol import topics
from protocol.enrol import open_answer
from protocol.errors import RemoteProtocolError
from protocol.trust import fingerprint

Act = Callable[[Node], Saved]
ASK_AGAIN_MS = 5 * SECOND


class EdgeMachine(Machine):
    """One device of one office."""

    def __init__(self, world: World, disks: Disks, line: Line, directory: Path, office: str, name: str) -> None:
        super().__init__(world, disks, line, directory, STORE_NAME, name)
        self.office = office
        self.node: Node | None = None
        self.loop: SyncLoop | None = None
        self.incarnation = b""
        self.halls: Network | None = None  # brokers of townships, in a county that has any
        self.sides: list[SideLine] = []
        self._asked_ms = 0
        self._version = -1

    @property
    def renewing(self) -> bool:
        """Whether this device has new keys that the county has not taken yet."""
        return self.node is not None and self.node.config.state == RENEWING

    def open(self) -> None:
        self.node = open_node(self.directory, self.clock.as_edge_clock(), check=True)
        self.incarnation = self.node.keys.incarnation
        account = read_account(self.directory)
        box = topics.mailbox(self.incarnation)
        self.line.box = account.user if account is not None and self.renewing else box
        self.line.hears = {*listens_to(self.node.keys, self.node.reference.trust), self._down(self.line.box)}
        self.loop = self._new_loop(self.node)
        self._asked_ms, self._version = 0, -1
        if self.halls is not None and not self.renewing:
            self.sides = beside(self.halls, self, self.node)

    def start(self) -> None:
        super().start()
        self._dial_halls()

    def wake(self, delay_ms: int = 100) -> None:
        super().wake(delay_ms)
        for side in self.sides:
            side.wake()

    def close(self) -> None:
        for side in self.sides:
            side.end()
        self.sides = []
        if self.node is not None:
            self.node.close()
        self.node = self.loop = None

    def turn(self) -> bool:
        before = self.line.sent + self.line.counters.received
        if self.renewing:
            self._ask_county()
        else:
            assert self.loop is not None
            self.loop.turn()
            self._go_on_under_new_keys_if_due()
        busy = self.line.sent + self.line.counters.received > before
        if busy:
            for side in self.sides:
                side.wake()
        return busy

    def on_store_refused(self) -> None:
        if self.node is not None:
            self.loop = self._new_loop(self.node)

    def act(self, act: Act) -> Saved | None:
        """Somebody at the office does something; None if the machine died before the screen could say `Saved`.

        Raises:  LiandongError: the screen said why not.
        """

        def work() -> Saved:
            assert self.node is not None
            return act(self.node)

        saved = self.do(work)
        if saved is not None:
            self.wake(int(self.world.rng.uniform(50, 250)))
        return saved

    def _go_on_under_new_keys_if_due(self) -> None:
        assert self.node is not None
        version = self.node.store.data_version()
        if version == self._version:
            return
        self._version = version
        if renew_if_due(self.node):
            self.world.note("renewed", self.name)
            self._daemon_anew()

    def _ask_county(self) -> None:
        """What `edge.succession.ask` does, over this line: ask, and look for the answer among what comes."""
        node = self.node
        assert node is not None
        with node.store.read() as tx:
            pending = renewal(tx)
        old = next(
            (keys for name, keys in earlier_keys(self.directory).items() if topics.mailbox(name) == self.line.box), None
        )
        if old is None or (pending and pending[2]):
            return  # it needs a code: a person sees the banner
        while (arrived := self.line.receive()) is not None:
            try:
                open_answer(arrived[1], keys=node.keys, trust=node.reference.trust)
            except RemoteProtocolError:
                continue  # an envelope for the old name in the same mailbox
            try:
                finish(self.directory, arrived[1], node.clock)
            except JoinRefused as error:
                self.world.note("not taken", self.name, error.facts["reason"])
                return
            self.world.note("succeeded", self.name, node.keys.incarnation)
            self._daemon_anew()
            return
        now = self.world.now_ms
        if self.line.state == "online" and now - self._asked_ms >= ASK_AGAIN_MS:
            self._asked_ms = now
            topic = topics.up(topics.space(fingerprint(node.reference.trust.root_public)), self.line.box)
            self.line.publish(topic, request_bytes(node.keys, old, node.reference.trust))

    def _daemon_anew(self) -> None:
        """The daemon closes the device and opens it again; commands of people go on beside it."""
        self.line.process_died()
        self.close()
        self.open()
        self.line.refresh()
        self._dial_halls()

    def _dial_halls(self) -> None:
        for side in self.sides:
            side.line.refresh()
            side.wake()

    def _down(self, box: str) -> str:
        assert self.node is not None
        return topics.down(topics.space(fingerprint(self.node.reference.trust.root_public)), box)

    def _new_loop(self, node: Node) -> SyncLoop:
        rng = self.world.rng
        loop = SyncLoop(
            node.store,
            node.keys,
            node.reference,
            node.clock,
            self.line,
            random_bytes=rng.randbytes,
            fraction=rng.random,
        )
        loop.lanes.follow(node.directory)
        return loop
