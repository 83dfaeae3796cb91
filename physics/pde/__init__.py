"""Solvers of partial differential equations: transport, Burgers, compressible and incompressible flow, each beside its oracle."""
