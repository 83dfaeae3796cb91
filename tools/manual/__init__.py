"""Pages of the manual that are written from the code, and what checks the others against it."""
