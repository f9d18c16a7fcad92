"""Finding the layer that a probe looks at, in any convolutional network."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn

from ...contracts import Classifier
from ...errors import PluginError, did_you_mean

MIDDLE: Final = "middle"
LAST: Final = "last"
_PASSED: Final = (nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Dropout, nn.Dropout2d, nn.Identity)
"""What a network does to its last maps before the classifier; no layer of its own."""


def map_layer(classifier: Classifier, images: Tensor, layer: str) -> str:
    """The name of the layer meant, which puts out maps (n, c, h, w).

    Args:
        classifier: has the layer.
        images: some images (n, c, h, w); one is passed forward.
        layer: a name; `last` for the last maps before they are pooled for the classifier; `middle` for the last maps of
            the middle one of the sizes that maps have on their way.

    Raises:
        PluginError: if there is no such layer, or what it puts out are no maps, with the names of those that do.
    """
    maps = _maps(classifier, images)
    if not maps:
        raise PluginError("no layer of this model puts out maps (channels, height, width), which this probe needs")
    if layer == LAST:
        return list(maps)[-1]
    if layer == MIDDLE:
        sizes = list(dict.fromkeys(maps.values()))
        alike = [name for name, size in maps.items() if size == sizes[len(sizes) // 2]]
        # A block before a layer inside it: the first layers of the next block may still have this size.
        least = min(name.count(".") for name in alike)
        return [name for name in alike if name.count(".") == least][-1]
    if layer in maps:
        return layer
    if layer in classifier.layers:
        raise PluginError(f"layer '{layer}' puts out no maps (channels, height, width); layers that do: {_some(maps)}")
    hint = nearest if (nearest := did_you_mean(layer, maps)).endswith("?") else ""
    raise PluginError(f"the model has no layer '{layer}'{hint}; layers with maps: {MIDDLE}, {LAST}, {_some(maps)}")


def _maps(classifier: Classifier, images: Tensor) -> dict[str, tuple[int, int]]:
    """Height and width of what each layer puts out, in the order in which layers end, up to the classifier's head."""
    sizes: dict[str, tuple[int, int]] = {}
    ended = [False]

    def look(name: str, module: nn.Module, output: Any) -> None:
        if isinstance(module, nn.Conv2d) and module.out_channels == classifier.num_classes:
            # A convolution in place of a linear layer, as SqueezeNet has: its maps are classes.
            ended[0] = True
        if ended[0] or not isinstance(output, Tensor) or output.ndim != 4 or isinstance(module, _PASSED):
            return
        height, width = output.shape[2:]
        if height > 1 and width > 1:
            sizes.pop(name, None)
            sizes[name] = height, width

    names = set(classifier.layers)
    handles = []
    for path, module in classifier.module.named_modules():
        # The classifier's module may hold the network, whose names these are, as its only part.
        name = path if path in names else path.partition(".")[2]
        if name in names:
            handles.append(module.register_forward_hook(lambda m, _i, out, name=name: look(name, m, out)))
    try:
        classifier.module(images[:1])
    finally:
        for handle in handles:
            handle.remove()
    return sizes


def _some(maps: dict[str, tuple[int, int]], limit: int = 40) -> str:
    """Names of layers in words: those near the surface where a network has hundreds."""
    names = list(maps)
    if len(names) > limit:
        names = [name for name in names if name.count(".") < 2]
    return ", ".join(names[:limit]) + (", ..." if len(names[:limit]) < len(maps) else "")
