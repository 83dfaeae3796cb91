"""Wavelet transforms of batches of arrays, equal to those of PyWavelets."""
