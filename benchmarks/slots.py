"""Which slots are found in the architectures of timm, and whether an attention really stands in them.

    python benchmarks/slots.py                 one small architecture of each CNN module of timm
    python benchmarks/slots.py --all           every architecture of the CNN modules
    python benchmarks/slots.py resnet50 vgg11  those

For each architecture: how many slots of each kind; whether a probe put at every slot at once is called
once a forward with the map it was promised, gets gradients, stands in the state dict, and leaves the
output and the names as they were when it is taken out again; and whether head and backbone put together
compute what timm computes. Meta device except for the parity, so that size does not matter.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from typing import Any

import timm
import torch
from timm.models import list_modules
from torch import Tensor, nn
from zoo_timm.backbone import TimmBackbone

from zoo.composition.initialization import NoRandomInit
from zoo.composition.insertion import After

# Modules of timm whose networks are no CNNs: the trunk is made of attention or of layers on tokens.
NO_CNN = (
    "beit cait coat convit crossvit davit deepseek_vit deit efficientformer_v2 efficientvim efficientvit_msra eva "
    "focalnet gcvit gemma4_vit hiera hieradet_sam2 levit mlp_mixer mvitv2 naflexvit nest pit pvt_v2 qwen3_vit "
    "sequencer swiftformer swin_transformer swin_transformer_v2 swin_transformer_v2_cr tiny_vit tnt twins "
    "vision_transformer vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam vitamin volo xcit"
)
KINDS = ("conv", "branch", "block", "stage")


class Probe(nn.Module):
    """An attention that scales channels by ones, and notes the maps that come by."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.ones(channels, 1, 1))
        self.channels, self.out_channels, self.stride = channels, out_channels, stride
        self.seen: list[torch.Size] = []

    def forward(self, x: Tensor) -> Tensor:
        """Return x, scaled by one; resized where a strided convolution was replaced."""
        self.seen.append(x.shape)
        y = x * self.gate
        if self.out_channels != self.channels:
            y = y.mean(1, keepdim=True).expand(-1, self.out_channels, -1, -1)
        return y[:, :, :: self.stride, :: self.stride]


def put(
    backbone: nn.Module, kinds: tuple[str, ...]
) -> tuple[list[tuple[str, Probe]], dict[str, nn.Module]]:
    """Put probes at all slots of some kinds; return them by path, and what stood there."""
    probes, before = [], {}
    for slot in sorted(backbone.slots(), key=lambda slot: -slot.path.count(".")):
        if slot.kind not in kinds:
            continue
        device = next(backbone.parameters()).device
        probe = Probe(slot.channels, slot.out_channels or slot.channels, slot.stride).to(device)
        module = backbone.get_submodule(slot.path)
        before.setdefault(slot.path, module)
        turned = slot.layout == "channels_last"
        put_in = probe if slot.how == "replace" else After(module, probe, channels_last=turned)
        backbone.set_submodule(slot.path, put_in)
        probes.append((slot.path, probe))
    return probes, before


def verify(backbone: nn.Module, shape: tuple[int, ...], kinds: tuple[str, ...]) -> str:
    """Return what is wrong with the slots of some kinds, or an empty text."""
    names = list(backbone.state_dict())
    x = torch.empty(shape, device=next(backbone.parameters()).device)
    plain = backbone(x).shape
    probes, before = put(backbone, kinds)
    try:
        fault = _fault(backbone, x, plain, probes)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"[:110]
    for path, module in reversed(before.items()):
        backbone.set_submodule(path, module)
    restored = list(backbone.state_dict()) == names and backbone(x).shape == plain
    return fault if restored else f"{fault}; not restored"


def _fault(
    backbone: nn.Module, x: Tensor, plain: torch.Size, probes: list[tuple[str, Probe]]
) -> str:
    y = backbone(x)
    calls = {len(probe.seen) for _, probe in probes}
    others = [
        path
        for path, probe in probes
        if probe.seen[0][1] != probe.channels or len(probe.seen[0]) != 4
    ]
    named = sum(name.endswith("gate") for name in backbone.state_dict())
    y.sum().backward()
    faults = {
        f"shape {tuple(y.shape)}, not {tuple(plain)}": y.shape != plain,
        f"called {sorted(calls)} times": calls - {1},
        f"another map at {others[:1]}": others,
        "not in the state dict": named < len(probes),
        "no gradient": any(probe.gate.grad is None for _, probe in probes),
    }
    return "; ".join(text for text, wrong in faults.items() if wrong)


def parity(architecture: str) -> str:
    """Compare backbone, native head and classifier with timm's own forward, on random weights."""
    torch.manual_seed(0)
    backbone = TimmBackbone(3, architecture=architecture).eval()
    whole = backbone._whole[0].eval()
    x = torch.randn(1, *whole.pretrained_cfg["input_size"])
    try:
        with torch.no_grad():
            expected = whole(x)
            head, classifier = backbone.native_head()
            logits = classifier(head(backbone(x)))
        scale = expected.abs().max().clamp(min=1e-6)
        error = float((logits - expected).abs().max() / scale)
        return "equal" if torch.equal(logits, expected) else f"{error:.0e}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:60]


def examine(architecture: str, *, with_parity: bool) -> dict[str, Any]:
    """Return one row of the table."""
    with NoRandomInit():
        backbone = TimmBackbone(3, architecture=architecture)
    started = time.perf_counter()
    slots = backbone.slots()
    row: dict[str, Any] = {"ms": 1e3 * (time.perf_counter() - started)}
    counts = Counter(slot.kind for slot in slots)
    row |= {kind: counts[kind] for kind in KINDS}
    row["stages"] = len(backbone.findings().stages)
    config = backbone._whole[0].pretrained_cfg
    backbone = backbone.to("meta").eval()
    shape = (2, *config["input_size"])
    y = backbone(torch.empty(shape, device="meta"))
    faults = (
        []
        if y.shape[1] == backbone.num_features
        else [f"num_features {backbone.num_features}, map {y.shape}"]
    )
    for kinds in (("branch", "block", "stage"), ("conv",)):
        if fault := verify(backbone, shape, kinds):
            faults.append(f"{'/'.join(kinds)}: {fault}")
    maps = backbone.forward_stages(torch.empty(shape, device="meta"))
    if any(
        maps[slot.stage - 1].shape[1] != slot.channels for slot in slots if slot.kind == "stage"
    ):
        faults.append(f"forward_stages gives {[tuple(m.shape[1:]) for m in maps]}")
    row["parity"] = parity(architecture) if with_parity else ""
    row["fault"] = "; ".join(faults)
    return row


def representatives(*, every: bool) -> list[tuple[str, str]]:
    """The architectures to look at, with their modules: the one with the shortest name, or all."""
    chosen = []
    for module in list_modules():
        names = [name for name in timm.list_models(module=module) if not name.startswith("test_")]
        if module not in NO_CNN.split() and names:
            chosen += [
                (module, name)
                for name in (names if every else [min(names, key=lambda n: (len(n), n))])
            ]
    return chosen


def main() -> None:
    """Print the table and its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architectures", nargs="*")
    parser.add_argument("--all", action="store_true", dest="every")
    parser.add_argument(
        "--parity", action="store_true", help="also compare logits with timm (real memory)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    todo = [("", name) for name in arguments.architectures] or representatives(
        every=arguments.every
    )
    rows = []
    print(f"{'module':22} {'architecture':32} stages stage block branch conv    ms parity  fault")
    for module, name in todo:
        try:
            row = examine(name, with_parity=arguments.parity)
        except Exception as error:
            row = dict.fromkeys((*KINDS, "stages", "ms"), 0) | {
                "parity": "",
                "fault": f"{type(error).__name__}: {error}",
            }
        rows.append(row)
        print(
            f"{module:22} {name:32} {row['stages']:6} {row['stage']:5} {row['block']:5} {row['branch']:6} "
            f"{row['conv']:4} {row['ms']:5.0f} {row['parity']:7} {row['fault'][:120]}",
            flush=True,
        )
    for kind in KINDS:
        print(f"{kind}: found in {sum(row[kind] > 0 for row in rows)} of {len(rows)}")
    print(f"faults: {sum(bool(row['fault']) for row in rows)}")
    sys.exit(0)


if __name__ == "__main__":
    main()
