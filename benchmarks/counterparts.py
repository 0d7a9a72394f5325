"""The modules of timm that compute what ours do, and the options of ours that make both the same function.

That they are the same function is what the parity tests in tests/plugins/ show, weights copied. Each
counterpart takes and returns a map, so one that is made for tokens is turned, as a CNN would have to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from timm.layers import (
    adaptive_avgmax_pool,
    attention,
    attention2d,
    attention_pool,
    attention_pool2d,
    bottleneck_attn,
    cbam,
    cond_conv2d,
    coord_attn,
    eca,
    gather_excite,
    global_context,
    grn,
    halo_attn,
    lambda_layer,
    non_local_attn,
    other_pool,
    selective_kernel,
    split_attn,
    squeeze_excite,
)
from timm.models import mobilevit, swiftformer, volo, xcit
from torch import Tensor, nn

Make = Callable[[int, int], nn.Module]  # from channels and the side of the map


@dataclass(frozen=True)
class Same:
    """One component of ours with options, and all of timm that compute the same.

    Attributes:
        theirs: By name, what makes timm's from channels and the side of the map.
        options: Those of ours.
        side_option: Name of one more option of ours, the side of the map.
    """

    theirs: dict[str, Make]
    options: dict[str, Any] = field(default_factory=dict)
    side_option: str = ""


class _Turned(nn.Module):
    """A module of timm on a map, turned to what it is made for and back."""

    def __init__(self, inner: nn.Module, form: str) -> None:
        super().__init__()
        self.inner = inner
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, or the vectors of a head."""
        if self.form == "last":  # (N, H, W, C)
            return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if self.form == "patches":  # (N, C, 1, P)
            return self.inner(x.flatten(2).unsqueeze(2)).reshape(x.shape)
        y = self.inner(x.flatten(2).transpose(1, 2))
        return y if y.ndim == 2 else y.transpose(1, 2).reshape(x.shape)


class _Residual(nn.Module):
    """A module with its input added, as ours have it by default."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        return x + self.inner(x)


class _Dynamic(nn.Module):
    """CondConv2d with dynamic convolution's routing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 4, 8)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, 4)
        self.conv = cond_conv2d.CondConv2d(channels, channels, 3, padding=1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of each sample with its mixture."""
        scores = self.expand(self.reduce(x.mean((2, 3))).relu())
        return self.conv(x, (scores / 30).softmax(1))


def _plain(function: Callable[..., nn.Module], **options: Any) -> Make:
    return lambda channels, _: function(channels, **options)


def _turned(form: str, function: Callable[..., nn.Module], **options: Any) -> Make:
    return lambda channels, _: _Residual(_Turned(function(channels, **options), form))


def _pool(kind: str) -> Make:
    return lambda *_: adaptive_avgmax_pool.SelectAdaptivePool2d(pool_type=kind, flatten=True)


def _gather(extent: int) -> Make:
    return _plain(gather_excite.GatherExcite, extent=extent, use_mlp=False)


def _context(fusion: str) -> Make:
    forms = {"fuse_add": fusion == "add", "fuse_scale": fusion == "scale"}
    return _plain(global_context.GlobalContext, rd_ratio=1 / 16, **forms)


def _coord(channels: int, _: int) -> nn.Module:
    return coord_attn.CoordAttn(channels, rd_channels=max(channels // 32, 8))


def _sk(channels: int, _: int) -> nn.Module:
    width = max(channels // 16, 32)
    return selective_kernel.SelectiveKernel(
        channels, groups=32, rd_channels=width, split_input=False
    )


def _ela(channels: int, _: int) -> nn.Module:
    norm = partial(_group_norm, 16)
    return coord_attn.EfficientLocalAttn(channels, act_layer=nn.Identity, norm_layer=norm)


def _group_norm(groups: int, channels: int, **_: Any) -> nn.Module:
    return nn.GroupNorm(groups, channels)


def _non_local(channels: int, _: int) -> nn.Module:
    return non_local_attn.NonLocalAttn(channels, use_scale=False, rd_channels=channels // 2)


def _halo(channels: int, _: int) -> nn.Module:
    options = {"num_heads": 8, "block_size": 8, "halo_size": 3, "scale_pos_embed": True}
    return halo_attn.HaloAttn(channels, **options)


def _bottleneck(channels: int, side: int) -> nn.Module:
    return bottleneck_attn.BottleneckAttn(
        channels, feat_size=(side, side), num_heads=4, scale_pos_embed=True
    )


def _lambda(channels: int, _: int) -> nn.Module:
    return lambda_layer.LambdaLayer(channels, num_heads=4, dim_head=16, r=9)


def _additive(channels: int, _: int) -> nn.Module:
    return _Residual(swiftformer.EfficientAdditiveAttention(channels, token_dim=channels))


def _clip_pool(channels: int, side: int) -> nn.Module:
    return attention_pool2d.AttentionPool2d(
        channels, feat_size=(side, side), num_heads=8, head_dim=None
    )


def _map_pool(channels: int, _: int) -> nn.Module:
    pool = attention_pool.AttentionPoolLatent(channels, num_heads=8, norm_layer=nn.LayerNorm)
    return _Turned(pool, "tokens")


BATCH_NORM = {"use_batch_norm": True}
BIAS = {"use_bias": True}

SAME: dict[str, list[Same]] = {
    "attention/se": [
        Same({"SEModule": _plain(squeeze_excite.SEModule, bias=False)}),
        Same({"SEModule": _plain(squeeze_excite.SEModule)}, BIAS),
    ],
    "attention/ese": [Same({"EffectiveSEModule": _plain(squeeze_excite.EffectiveSEModule)}, BIAS)],
    "attention/eca": [Same({"EcaModule": _plain(eca.EcaModule)})],
    "attention/ge": [
        Same({"GatherExcite": _gather(0)}),
        Same({"GatherExcite": _gather(2)}, {"extent": 2}),
        Same({"GatherExcite": _gather(8)}, {"extent": 8}),
    ],
    "attention/grn": [
        Same({"GlobalResponseNorm": _plain(grn.GlobalResponseNorm, channels_last=False)})
    ],
    "attention/spatial_gate": [Same({"SpatialAttn": lambda *_: cbam.SpatialAttn()}, BATCH_NORM)],
    "attention/cbam": [
        Same({"CbamModule": _plain(cbam.CbamModule)}, {"min_hidden": 1, **BATCH_NORM})
    ],
    "attention/coord": [Same({"CoordAttn": _coord})],
    "attention/ela": [Same({"EfficientLocalAttn": _ela}, {"use_shared_layers": False})],
    "attention/mhsa": [
        Same(
            {
                "Attention": _turned("tokens", attention.Attention, num_heads=4, qkv_bias=True),
                "Attention2d": lambda channels, _: _Residual(
                    attention2d.Attention2d(channels, num_heads=4, bias=True)
                ),
            },
            BIAS,
        )
    ],
    "attention/non_local": [Same({"NonLocalAttn": _non_local})],
    "attention/gc": [
        Same({"GlobalContext": _context(fusion)}, {"fusion": fusion, "min_hidden": 1, **BIAS})
        for fusion in ("add", "scale")
    ],
    "attention/xca": [Same({"XCA": _turned("tokens", xcit.XCA, num_heads=8, qkv_bias=True)}, BIAS)],
    "attention/bottleneck": [Same({"BottleneckAttn": _bottleneck}, side_option="size")],
    "attention/halo": [Same({"HaloAttn": _halo}, {"use_zero_padding": True})],
    "attention/separable": [
        Same({"LinearSelfAttention": _turned("patches", mobilevit.LinearSelfAttention)})
    ],
    "attention/outlook": [
        Same({"OutlookAttention": _turned("last", volo.OutlookAttention, num_heads=4)})
    ],
    "attention/lambda_layer": [Same({"LambdaLayer": _lambda})],
    "attention/additive": [Same({"EfficientAdditiveAttention": _additive})],
    "attention/sk": [Same({"SelectiveKernel": _sk})],
    "attention/split": [
        Same({"SplitAttn": _plain(split_attn.SplitAttn, norm_layer=nn.BatchNorm2d)})
    ],
    "attention/dynamic_conv": [Same({"CondConv2d": _plain(_Dynamic)})],
    "head/avg": [Same({kind: _pool(kind) for kind in ("avg", "fastavg")})],
    "head/max": [Same({kind: _pool(kind) for kind in ("max", "fastmax")})],
    "head/avgmax": [Same({kind: _pool(kind) for kind in ("avgmax", "fastavgmax")})],
    "head/catavgmax": [Same({kind: _pool(kind) for kind in ("catavgmax", "fastcatavgmax")})],
    "head/lse": [Same({"LsePlus2d": lambda *_: other_pool.LsePlus2d(r=10.0)})],
    "head/simpool": [Same({"SimPool2d": _plain(other_pool.SimPool2d)}, {"gamma": None})],
    "head/map": [Same({"AttentionPoolLatent": _map_pool})],
    "head/attention_pool": [Same({"AttentionPool2d": _clip_pool}, {"num_heads": 8}, "table_size")],
}
