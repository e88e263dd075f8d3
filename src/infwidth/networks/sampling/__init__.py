"""Two-layer networks sampled from their posterior."""
