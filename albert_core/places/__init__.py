"""The stable places of a run's folder, and the model at any path that a person gives."""
