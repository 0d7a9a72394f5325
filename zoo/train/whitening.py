"""Filters that whiten: a first convolution that begins with the principal components of its inputs.

Patches of neighbouring pixels are nearly of one colour; what tells images apart is in the small differences.
Filters that bring all components of a patch to one size spare a network the epochs in which it would learn
to. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498, has found nothing that helps
more to train fast. There the filters are frozen and no norm follows; here they are trained on, and the
backbone stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from zoo.composition.model import Model
from zoo.errors import InvalidValue
from zoo.spec import ImageInput
from zoo.train.normalization import Normalization
from zoo.weights import without_pretrained

IMAGES = 2048  # to measure on: their patches are some millions
_BATCH = 256
_SIDE = 32  # places a row and a column of an image: all of a small one, those in a window of a larger one
_VALUES = 2**24  # of a batch, at most: 128 MB
# A variance: components below are noise, and are not enlarged to the size of the others.
_EPSILON = 5e-4


@torch.no_grad()
def whiten(model: Model, images: Tensor) -> None:
    """Let the first convolution of a model begin with filters that whiten the patches of its inputs.

    Half of the filters are the strongest principal components, each divided by its standard deviation;
    the other half are their negatives, for a ReLU lets one side of each pass. Filters beyond twice the
    values of a patch stay as they are.

    Args:
        model: Of images, its weights about to be trained.
        images: uint8 (N, C, H, W), those to be trained on.

    Raises:
        InvalidValue: Nothing in the model convolves the images themselves, or its weights are pretrained.
    """
    source = model.spec.input
    if not isinstance(source, ImageInput):
        raise InvalidValue(
            f"Whitening is for images; the model takes inputs of kind {source.kind!r}."
        )
    normalize = Normalization(source)
    chosen = images[:: max(1, len(images) // IMAGES)]
    if without_pretrained(model.spec) != model.spec:
        raise InvalidValue(
            "The recipe's whiten sets new filters, and the backbone has pretrained ones. Leave it out."
        )
    convolution = _first_convolution(model, normalize(chosen[:2]))
    each = max(chosen[0].numel(), convolution.weight[0].numel() * _SIDE**2)
    batches = torch.split(chosen, max(1, min(_BATCH, _VALUES // each)))
    corners = torch.Generator().manual_seed(0)
    moments = sum(_second_moment(normalize(batch), convolution, corners) for batch in batches)
    covariance = moments / len(chosen)
    variances, components = torch.linalg.eigh(covariance)  # from the weakest to the strongest
    filters = (components / (variances + _EPSILON).sqrt()).T.flip(0)
    half = min(len(convolution.weight) // 2, len(filters))
    both = torch.cat([filters[:half], -filters[:half]])
    convolution.weight[: 2 * half] = both.view(2 * half, *convolution.weight.shape[1:])


def _second_moment(x: Tensor, convolution: nn.Conv2d, corners: Generator) -> Tensor:
    """Products of the values of a patch (C k k, C k k), summed over images and averaged over places."""
    size, dilation = convolution.kernel_size, convolution.dilation
    sides = [_SIDE + step * (side - 1) for side, step in zip(size, dilation, strict=True)]
    windows = _windows(x, sides, corners)
    patches = F.unfold(windows, size, dilation).double()  # (N, C k k, places)
    return torch.einsum("nip, njp -> ij", patches, patches) / patches.shape[2]


def _windows(x: Tensor, sides: Sequence[int], corners: Generator) -> Tensor:
    """A window of each image, of at most such sides; anywhere, for a grid would meet that of enlarged pixels."""
    height, width = (min(side, whole) for side, whole in zip(sides, x.shape[2:], strict=True))
    tops = torch.randint(x.shape[2] - height + 1, (len(x),), generator=corners).tolist()
    lefts = torch.randint(x.shape[3] - width + 1, (len(x),), generator=corners).tolist()
    places = zip(x, tops, lefts, strict=True)
    return torch.stack(
        [one[:, top : top + height, left : left + width] for one, top, left in places]
    )


def _first_convolution(model: Model, x: Tensor) -> nn.Conv2d:
    """The convolution that takes `x` itself."""
    found: list[nn.Conv2d] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if torch.equal(inputs[0], x):
            found.append(module)  # type: ignore[arg-type]  # a hook's own type says less

    convolutions = [
        module for module in model.modules() if isinstance(module, nn.Conv2d) and module.groups == 1
    ]
    hooks = [convolution.register_forward_pre_hook(look) for convolution in convolutions]
    training = model.training
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    if not found:
        raise InvalidValue(
            "The recipe's whiten sets the filters of a convolution over the image; the model has none. "
            "Leave it out."
        )
    return found[0]
