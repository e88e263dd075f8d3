"""Posterior of nonlinear networks: a population of particles at the saddle point."""
