"""Which attacks of other libraries our own do too, with settings under which both are the same as far as they can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Twins = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Fields of a library's attack, and the table of ours, by the name of the former."""

_STEPS = {"steps": 20, "step_size": "eps/10"}
_CW = {"name": "cw-l2", "searches": 3, "steps": 100, "learning_rate": 0.01}

FOOLBOX: Final[Twins] = {
    "LinfFastGradientAttack": ({}, {"name": "fgsm"}),
    "L2FastGradientAttack": ({}, {"name": "fgsm"}),
    "LinfBasicIterativeAttack": ({"steps": 20, "rel_stepsize": 0.1}, {"name": "bim", **_STEPS}),
    "L2BasicIterativeAttack": ({"steps": 20, "rel_stepsize": 0.1}, {"name": "bim", **_STEPS}),
    "LinfProjectedGradientDescentAttack": ({"steps": 20, "rel_stepsize": 0.1}, {"name": "pgd", **_STEPS}),
    "L2ProjectedGradientDescentAttack": ({"steps": 20, "rel_stepsize": 0.1}, {"name": "pgd", **_STEPS}),
    "LinfDeepFoolAttack": ({"steps": 50}, {"name": "deepfool", "steps": 50}),
    "L2DeepFoolAttack": ({"steps": 50}, {"name": "deepfool", "steps": 50}),
    "L2CarliniWagnerAttack": ({"binary_search_steps": 3, "steps": 100, "stepsize": 0.01}, _CW),
    "DDNAttack": ({"steps": 100}, {"name": "ddn", "steps": 100}),
    "LInfFMNAttack": ({"steps": 100}, {"name": "fmn", "steps": 100}),
    "L2FMNAttack": ({"steps": 100}, {"name": "fmn", "steps": 100}),
}
ART: Final[Twins] = {
    "FastGradientMethod": ({}, {"name": "fgsm"}),
    "BasicIterativeMethod": ({"max_iter": 20, "eps_step": "eps/10"}, {"name": "bim", **_STEPS}),
    "ProjectedGradientDescent": (
        {"max_iter": 20, "eps_step": "eps/10", "num_random_init": 1},
        {"name": "pgd", **_STEPS},
    ),
    "AutoProjectedGradientDescent": (
        {"max_iter": 100, "nb_random_init": 1, "eps_step": "2*eps"},
        {"name": "apgd", "steps": 100},
    ),
    "SquareAttack": ({"max_iter": 1000}, {"name": "square", "queries": 1000, "schedule": 1000}),
    "DeepFool": ({"max_iter": 50}, {"name": "deepfool", "steps": 50}),
    "CarliniL2Method": ({"binary_search_steps": 3, "max_iter": 100}, _CW),
    "AutoAttack": ({}, {"name": "autoattack"}),
}
TORCHATTACKS: Final[Twins] = {
    "FGSM": ({}, {"name": "fgsm"}),
    "BIM": ({"steps": 20, "alpha": "eps/10"}, {"name": "bim", **_STEPS}),
    "PGD": ({"steps": 20, "alpha": "eps/10"}, {"name": "pgd", **_STEPS}),
    "PGDL2": ({"steps": 20, "alpha": "eps/10"}, {"name": "pgd", **_STEPS}),
    "APGD": ({"steps": 100}, {"name": "apgd", "steps": 100}),
    # It moves towards every other class in turn, of the ten of the reference model.
    "FAB": (
        {"steps": 100, "multi_targeted": True},
        {"name": "worst-case", "of": [{"name": "fab-t", "steps": 100, "rank": rank} for rank in range(1, 10)]},
    ),
    "Square": ({"n_queries": 1000}, {"name": "square", "queries": 1000, "schedule": 1000}),
    "DeepFool": ({"steps": 50}, {"name": "deepfool", "steps": 50}),
    # One search, with the weight 1.
    "CW": ({"steps": 100, "lr": 0.01}, {**_CW, "searches": 1, "first_weight": 1.0, "abort": False}),
    # Its members take 10 steps, the published ones 100.
    "AutoAttack": ({}, {"name": "autoattack", "steps": 10}),
}
