"""Whether what providers offer runs here: each attack on one small model, in a process of its own with a time limit."""
