"""Chromatography: linear columns by Fourier inversion, competitive Langmuir columns, temperature programmes."""
