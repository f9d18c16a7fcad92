"""The page of a judgement, and the command `judge`, which is imported at every start of the command line."""
