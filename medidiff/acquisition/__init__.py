"""What a scanner measures: simulated scans of known volumes, and raw data read from files."""
