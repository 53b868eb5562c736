"""After an outage: how long a county's offices need until every op that they hold has the hub's receipt.

For: `liandong bench drain`: a real hub, a real broker, real connections; devices that are light but speak the protocol.
May not: be a test: nothing fails because a machine is slow. Lost or doubled ops are counted and said.
Manual: docs/performance.md, "After an outage".
"""
