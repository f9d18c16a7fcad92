"""Which parts of the fast path of attacks are on; no identity depends on it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..errors import MedrobustError, did_you_mean


@dataclass(frozen=True)
class Acceleration:
    """Which parts of the fast path are on.

    Attributes:
        fold: fold batch norms into the convolutions before them; the others become affine maps.
        channels_last: keep images and weights in the memory format that convolutions prefer.
        compile: compile with torch.compile; costs up to minutes once for each model, so it is off by default.
        first_conv: compute the input gradient of convolutions on few channels as a forward convolution (on a CPU).
    """

    fold: bool = True
    channels_last: bool = True
    compile: bool = False
    first_conv: bool = True

    @classmethod
    def parse(cls, text: str) -> Acceleration:
        """Read `auto`, `none`, or a list such as `fold,first-conv,channels-last,compile`.

        Raises:
            MedrobustError: for an unknown part, with the nearest valid one.
        """
        if text == "auto":
            return cls()
        chosen = PLAIN
        parts = {
            "fold": "fold",
            "first-conv": "first_conv",
            "channels-last": "channels_last",
            "compile": "compile",
        }
        for part in text.split(",") if text != "none" else ():
            if part in parts:
                chosen = replace(chosen, **{parts[part]: True})
            else:
                valid = ("auto", "none", *parts)
                raise MedrobustError(f"acceleration: unknown part '{part}'{did_you_mean(part, valid)}")
        return chosen

    def __str__(self) -> str:
        return ",".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))


PLAIN = Acceleration(fold=False, first_conv=False, channels_last=False)
