"""What this process is, does and may use: signals, children, output, cores, memory, imports."""
