"""Attacks of other libraries by name: each module offers one library through a provider."""
