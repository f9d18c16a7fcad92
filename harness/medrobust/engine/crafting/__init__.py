"""Adversarial images: attacks run on batches, and the one stream that everybody consumes."""
