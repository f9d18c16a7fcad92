"""Running steps: executors, order, progress, and what a process computes with."""
