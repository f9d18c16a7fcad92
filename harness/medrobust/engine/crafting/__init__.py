"""Adversarial images: attacks run on batches, and the one stream of their results."""
