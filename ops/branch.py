"""Setting a township's branch up: accounts at its own broker, and the cards that its villages get.

For: `edge branch` and `edge branch-card`.
May not: send anything; believe a card (edge/branch/setup.py checks it at the village, the roster decides).
Manual: docs/operating/township.md.
"""

from __future__ import annotations

from edge.branch.setup import ServedBranch, TownshipCard, read_branch, write_branch
from edge.errors import BadLink
from edge.main import Node
from hub.broker_accounts import new_password, write_password
from protocol import topics
from protocol.errors import InputError
from protocol.roster import ACTIVE, Device


def set_up(node: Node, broker: str) -> ServedBranch:
    """Serve the branch on `broker` from the next start on; our account there is the broker's first.

    A repeat changes the address only, so that cards and the running daemon stay right. Raises BadBrokerUrl.
    """
    before = read_branch(node.directory)
    made = ServedBranch(broker, topics.HUB_USER, before.password if before else new_password())
    write_branch(node.directory, made)
    write_password(node.directory, made.user, made.password)
    return made


def make_card(node: Node, office: str, device: str | None = None) -> TownshipCard:
    """A card for one device of an office below, with a new password at our broker.

    Args:    device: incarnation in hex or its beginning; needed only where the office has several devices.
    Raises:  BadLink if we serve no branch or the office is not below ours; InputError if no or several devices fit.
    """
    served = read_branch(node.directory)
    if served is None:
        raise BadLink(
            "This device serves no branch yet; run `liandong edge branch` first.",
            "本设备尚未为下级提供服务，请先运行 liandong edge branch。",
        )
    with node.store.read() as tx:
        roster = node.reference.roster(tx)
    if not roster.is_above(node.keys.office, office):
        raise BadLink(f"{office} is not an office below {node.keys.office}.", f"{office} 不是本乡镇的下级机构。")
    chosen = _the_one([one for one in roster.devices_of(office) if one.state == ACTIVE], office, device)
    user, password = topics.mailbox(chosen.incarnation), new_password()
    write_password(node.directory, user, password)
    county, here = node.keys.county, node.keys.incarnation.hex()
    return TownshipCard(county, chosen.incarnation.hex(), here, node.keys.office, served.broker, user, password)


def _the_one(devices: list[Device], office: str, wanted: str | None) -> Device:
    fitting = [one for one in devices if one.incarnation.hex().startswith((wanted or "").lower())]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(one.incarnation.hex() for one in devices)) or "none"
    raise InputError(
        f"Name one device of {office} with --device; the roster has: {names}.",
        f"请用 --device 指定 {office} 的一台设备，名册中有：{names}。",
    )
