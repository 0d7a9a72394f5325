"""GlobalContext against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.gc import GlobalContext

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(x: torch.Tensor, module: GlobalContext) -> torch.Tensor:
    """Equation 5 for x (N, C, L), number by number."""
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        scores = [sum(module.score.weight.detach()[0] * at).item() for at in x[n].T]
        weights = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
        context = sum(w * at for w, at in zip(weights, x[n].T, strict=True))
        hidden = module.reduce.weight.detach() @ context
        if module.reduce.bias is not None:
            hidden = hidden + module.reduce.bias.detach()
        centred = hidden - hidden.mean()
        hidden = centred / ((centred**2).mean() + module.norm.eps).sqrt()
        hidden = hidden * module.norm.weight.detach() + module.norm.bias.detach()
        summary = module.expand.weight.detach() @ torch.where(hidden > 0, hidden, 0)
        if module.expand.bias is not None:
            summary = summary + module.expand.bias.detach()
        for i in range(x.shape[2]):
            if module.fusion == "add":
                y[n, :, i] = x[n, :, i] + summary
            else:
                y[n, :, i] = x[n, :, i] / (1 + (-summary).exp())
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GlobalContext(4, min_hidden=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("fusion", ["add", "scale"])
@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(fusion: str, use_bias: bool) -> None:
    """The output is that of the paper's equations."""
    module = liven(GlobalContext(6, min_hidden=3, fusion=fusion, use_bias=use_bias))
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("fusion", ["add", "scale"])
def test_gradient_is_that_of_differences(fusion: str) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(GlobalContext(3, ndim=1, min_hidden=4, fusion=fusion))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("fusion", ["add", "scale"])
def test_equals_timm(fusion: str) -> None:
    """With the same weights it gives the numbers of timm's, whose default is the scale form."""
    timm = pytest.importorskip("timm.layers.global_context")
    theirs = timm.GlobalContext(
        32, fuse_add=fusion == "add", fuse_scale=fusion == "scale", rd_ratio=1 / 4
    )
    mlp = theirs.mlp_add if fusion == "add" else theirs.mlp_scale
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = GlobalContext(32, reduction=4, min_hidden=1, fusion=fusion, use_bias=True)
    state = {"score.weight": theirs.conv_attn.weight[..., 0, 0]}  # its bias is lost in the softmax
    for name, layer in (("reduce", mlp.fc1), ("norm", mlp.norm), ("expand", mlp.fc2)):
        state |= {f"{name}.weight": layer.weight.squeeze(), f"{name}.bias": layer.bias}
    ours.load_state_dict(state)
    x = torch.randn(2, 32, 5, 3)
    # timm's norm has an eps of 1e-6, ours torch's of 1e-5.
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("use_bias", [False, True])
def test_starts_as_identity(use_bias: bool) -> None:
    """The block put into a trained network leaves it as it was; the scale form halves it."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(GlobalContext(8, use_bias=use_bias)(x), x)
    assert torch.equal(GlobalContext(8, fusion="scale", use_bias=use_bias)(x), x / 2)


def test_softmax_is_over_positions() -> None:
    """Weights sum to 1, follow the scores, and masked positions have none."""
    module = liven(GlobalContext(8, ndim=1))
    x = torch.randn(1, 8, 5, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, True, False]])
    found = module.attention_map(x, mask).spatial
    expected = torch.einsum("c,ncl->nl", module.score.weight[0], x)[mask].softmax(0)
    torch.testing.assert_close(found[mask], expected)
    assert not found[~mask].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 0.5}, "min_hidden is 0.5, but must be a whole number"),
        ({"fusion": "mul"}, "fusion is 'mul', but must be one of 'add', 'scale'"),
        ({"use_bias": "no"}, "use_bias is 'no', but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"GlobalContext: {message}"):
        GlobalContext(16, **options)  # type: ignore[arg-type]  # what is tested
