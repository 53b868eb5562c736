"""What a mailbox may do at the broker: default deny, one pair of topics for each mailbox, the hub at the other ends.

For: the embedded broker; Mosquitto's ACL file says the same (ops/broker/mosquitto.py, one test holds both).
May not: know passwords, sessions or sockets.
Spec: docs/protocol/topics.md.  Manual: docs/operating/broker.md, "Who may do what".
"""

from __future__ import annotations

from protocol import topics

PUBLISH, SUBSCRIBE, RECEIVE = "publish", "subscribe", "receive"


def may(box: str, action: str, topic: str) -> bool:
    """True if the machine whose mailbox is `box` may do this.

    Args:    box: the name it logged in with; `hub` is the hub.
             topic: a topic, or for SUBSCRIBE a filter; wildcards count as themselves, so a filter is allowed only
             where it can match nothing but allowed topics.
    """
    parts = topic.split("/")
    if len(parts) < 3:
        return False
    space, name = parts[1], parts[2]
    if topic == topics.card(space):
        return action != PUBLISH or box == topics.HUB_USER
    if topic == topics.up(space, name):
        return box == name if action == PUBLISH else box == topics.HUB_USER
    if topic == topics.down(space, name):
        return box == topics.HUB_USER if action == PUBLISH else box == name
    return False
