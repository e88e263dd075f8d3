"""Decoder-only transformers with exchangeable MLP readouts, and their training."""
