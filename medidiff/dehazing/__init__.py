"""Haze taken out of ultrasound: settings first, `task.py` the entry, then one file per step."""
