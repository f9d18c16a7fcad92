"""Evidence on whether the robust accuracies of a model can be trusted.

A robust accuracy is an upper bound; these checks look for the signs that it is far from tight, or of another model than
was meant (Carlini et al., "On evaluating adversarial robustness", 2019; Athalye et al., "Obfuscated gradients", 2018).
Each is passed, flagged, undecided, or not checked because a cell is missing; a flagged one comes with a sentence of
advice. `ladder` compares attacks, `seen` reads what the engine saw of the model, `order` looks at the clean record.
"""

from .checks import ADVICE, badge, evidence
from .trial import LEVEL, Check, Outcome, Trial, stronger

__all__ = ["ADVICE", "LEVEL", "Check", "Outcome", "Trial", "badge", "evidence", "stronger"]
