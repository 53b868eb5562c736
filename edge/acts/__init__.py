"""edge.acts: what a worker does with a case, one module per theme; edge.service puts them together."""
