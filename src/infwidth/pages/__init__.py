"""Pages that a person opens in a browser: the report of a run, and what differs between two."""
