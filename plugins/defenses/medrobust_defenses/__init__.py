"""Bundled defenses."""
