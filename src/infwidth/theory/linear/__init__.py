"""Linear networks: closed forms, the concave dual, moment equations."""
