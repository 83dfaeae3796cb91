"""Trajectories of partial differential equations in files."""
