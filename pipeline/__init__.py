"""What runs the steps: the DAG, the local runner, the `albert` command, configurations."""
