"""ops.simulate.faults: what can go wrong in a simulated county, each thing under a name, applied in overlapping pairs."""
