"""The broker account of a machine that has no name yet: both sides work it out from the enrolment code's secret.

For: letting a joining machine log in like any other, so that a broker needs no open door for strangers.
May not: do anything with the network. The hub writes this account when it issues the code and takes it away when the
code is used or expires; the machine logs in with it and uses the user name as its reply mailbox.
Spec: docs/protocol/topics.md, "Joining".  Decision: 0051.
"""

from __future__ import annotations

import base64
import hashlib

from protocol import topics

DOMAIN_BOX = b"liandong join mailbox v1"
DOMAIN_PASSWORD = b"liandong join password v1"


def join_account(secret: bytes) -> tuple[str, str]:
    """User (which is also the mailbox) and password for the machine that holds the code with this 16-byte secret.

    The broker learns the password but neither the secret nor anything that opens an envelope.
    """
    password = base64.b32encode(hashlib.sha256(DOMAIN_PASSWORD + secret).digest()[:20]).decode("ascii").lower()
    return topics.join_mailbox(hashlib.sha256(DOMAIN_BOX + secret).digest()[:10]), password
