"""Intervals, comparisons and combinations over per-image records, as pure functions."""
