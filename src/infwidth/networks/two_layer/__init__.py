"""Two-layer networks trained by gradient flow: ensembles, starts, integrators."""
