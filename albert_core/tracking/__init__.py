"""Where a team looks at its trainings: TensorBoard, MLflow, Weights & Biases, Vertex Experiments.

A process beside the training's calls the tracker (`worker.py`), so that none of it can stop, slow
or change a training. `trackers.py` is the table of trackers.
"""
