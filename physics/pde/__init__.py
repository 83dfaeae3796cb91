"""One-dimensional convection, diffusion and reaction by finite volumes, with mass balances that are always kept."""
