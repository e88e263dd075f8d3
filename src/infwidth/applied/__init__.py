"""The theory on a user's own data."""
