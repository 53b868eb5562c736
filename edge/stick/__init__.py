"""edge.stick: the device's side of living by sticks: what it exports for the hub, what it takes from the hub's bundles."""
