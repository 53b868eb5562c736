"""edge.branch: a township and its villages on the township's own broker, with or without the county's line."""
