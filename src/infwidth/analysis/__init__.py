"""Observables computed from tables: averages over seeds, agreement, claims."""
