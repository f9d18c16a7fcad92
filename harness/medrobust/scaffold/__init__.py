"""A complete distribution with one plugin, as a beginning."""
