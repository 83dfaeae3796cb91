"""Magnetic resonance: k-space of coils, on a grid or along trajectories, and the images behind it."""
