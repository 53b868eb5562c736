"""edge.sync: the device's side of synchronising: what it offers, what it lacks, what it takes in."""
