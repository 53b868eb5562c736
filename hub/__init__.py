"""The county's machine: merges what offices send, routes it, supervises, forwards upward, is administered.

For: intake (intake.py, transaction.py), streams and routing, reference data and enrolment, the review queue, the daemon
(main.py), the way up to the city (upward/).
May not: import edge/; handle cases for people (the county's windows run an edge); let anything leave before its commit.
Manual: docs/operating/hub.md.
"""
