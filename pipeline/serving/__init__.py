"""A model over HTTP: `albert serve`."""
