"""Detectors: features of images and of their adversarial versions, what is learned from them, and scores."""
