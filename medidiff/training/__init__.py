"""Training of the networks that the rooms use: one runner for all, and the sets and cards of priors."""
