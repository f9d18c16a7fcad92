"""In which arithmetic gradients are computed; verdicts are always float32."""

from __future__ import annotations

from typing import Literal

Arithmetic = Literal["float32", "bfloat16"]
"""IEEE float32, or torch's automatic mixed precision with bfloat16."""

Precision = Literal["float32", "bfloat16", "mixed"]
"""How adversarial images are crafted: in one arithmetic, or `mixed`: in bfloat16 until success, and what that leaves
unbroken once more from the start in float32."""
