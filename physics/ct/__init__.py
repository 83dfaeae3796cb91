"""Computed tomography: rays of parallel and fan beams, filtered back-projection, and the noise of counted photons."""
