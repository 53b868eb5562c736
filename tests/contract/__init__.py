"""One contract for every carrier, and one for every broker that a county may run."""
