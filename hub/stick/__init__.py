"""hub.stick: the hub's side of sticks: what it takes from exports of devices, and the bundles that go back to them."""
