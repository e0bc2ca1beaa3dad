"""Enter the exports of an accepted model into the Vertex AI Model Registry."""
