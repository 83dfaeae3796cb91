"""Diffusion-model workflows for medical imaging, PDE simulation and chromatography."""

__version__ = "0.1.0"
