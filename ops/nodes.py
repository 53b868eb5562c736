"""Which kind of node a directory holds, and opening its store for reading.

For: the commands that work alike on an office's device and on the hub (`--dir X`).
May not: change anything.
Manual: docs/operating/commands.md, "Directories".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from protocol.errors import InputError

if TYPE_CHECKING:
    from conflict.ledger.store import Store

Kind = Literal["edge", "hub"]


class UnknownNode(InputError):
    """The directory holds neither an office's device nor a county's hub."""

    code = "not_a_node"


@dataclass(frozen=True, slots=True)
class Node:
    """A directory and what it holds. `place` is what the ledger is opened with: a path, or a PostgreSQL URL.

    incarnation: hex, names the machine; office: of the device, or the county's code for the hub.
    """

    kind: Kind
    directory: Path
    place: str
    county: str
    office: str
    incarnation: str

    def open_store(self, *, check: bool = False) -> Store:
        """The node's store. Raises what conflict.ledger.store.open_store raises."""
        from conflict.ledger.store import open_store

        return open_store(self.place, check=check)


def find_node(directory: Path) -> Node:
    """The node in `directory`. Raises UnknownNode, or BadConfig if its configuration cannot be used."""
    from edge import config as edge_config
    from hub import config as hub_config

    if (directory / edge_config.CONFIG_NAME).exists():
        edge = edge_config.read_config(directory)
        place = str(directory / edge_config.STORE_NAME)
        return Node("edge", directory, place, edge.county, edge.office, edge.incarnation)
    if (directory / hub_config.CONFIG_NAME).exists():
        hub = hub_config.read_config(directory)
        return Node("hub", directory, hub.store_place(directory), hub.county, hub.county, hub.incarnation)
    raise UnknownNode(
        f"{directory} holds neither a device (edge join) nor a county (county init).",
        f"目录 {directory} 中既没有设备(edge join),也没有县级中心(county init)。",
    )
