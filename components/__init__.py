"""The pipeline's steps: a typed function each, and a thin Kubeflow component around it."""
