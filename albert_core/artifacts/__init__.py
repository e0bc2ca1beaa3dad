"""Runs on disk: work folders, published artifacts, manifests, progress."""
