"""Gradient flow of nonlinear networks: weighted particles of the mean-field dynamics."""
