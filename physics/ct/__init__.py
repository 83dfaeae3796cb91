"""Computed tomography: rays of parallel, fan and cone beams, filtered back-projection, and the noise of counted photons."""
