"""The steps of a plan, the classifier through which all gradients go, executors and progress."""
