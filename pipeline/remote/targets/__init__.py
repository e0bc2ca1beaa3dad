"""Where the pipeline can be submitted to: Kubeflow and Vertex AI behind one interface."""
