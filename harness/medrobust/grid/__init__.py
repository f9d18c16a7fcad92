"""From TOML to a grid, its cells (with the reason for each exclusion), and the plan: a graph of steps."""
