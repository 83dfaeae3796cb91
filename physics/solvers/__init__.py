"""Classical solvers for every linear operator: conjugate gradients, SIRT, total variation. Imports nothing by itself."""
