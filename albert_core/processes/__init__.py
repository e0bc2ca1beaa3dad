"""This process and its machine: signals, children, standard error, cores, temporary files."""
