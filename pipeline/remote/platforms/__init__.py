"""The platforms that run the pipeline: a module or folder each, and `registry.py`."""
