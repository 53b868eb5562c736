"""A city's acceptance platform, small but real: what a county sends bundles to.

For: the demo and the tests. It takes complete bundles over HTTP, gives receipt numbers, lets an operator decide or
return cases, and publishes its answers as a numbered feed. It keeps everything in its own directory.
May not: be used by a real city; import hub, edge, conflict or protocol (it stands for a stranger's system).
Spec: docs/protocol/city.md.

Public: `run_city` blocks and serves, `CityThread` serves inside this process (tests), `CitySettings` names the rest.
"""

from ops.city.server import CityThread, run_city
from ops.city.settings import CitySettings

__all__ = ["CitySettings", "CityThread", "run_city"]
