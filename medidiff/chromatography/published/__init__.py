"""Tables transcribed from publications, each with its citation."""
