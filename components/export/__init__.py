"""Models in formats that others read."""
