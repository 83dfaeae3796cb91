"""Forward models and solvers: numpy, scipy and torch; nothing here knows of files, networks or the workflow."""
