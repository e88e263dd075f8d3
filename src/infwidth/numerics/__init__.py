"""Shared numerical ground: activations, statuses, seeds, input checks."""
