"""Attention modules, one short file each, written from their papers.

To add one: write `<folder>/<name>.py` with one class, and add one line to `COMPONENTS`. The generic
tests of `tests/plugins/zoo_attention/test_contract.py` then hold for it as well.
"""

from __future__ import annotations

from zoo import Component, hookimpl

# A family has its folder; `self` alone would be a confusing name for one.
_FOLDERS = {
    "channel": "channel",
    "spatial": "spatial",
    "mixed": "mixed",
    "self": "self_attention",
    "branch": "branch",
}


def _component(
    name: str,
    family: str,
    class_name: str,
    paper: str,
    summary: str,
    *,
    ndims: tuple[int, ...] = (1, 2),
    mask: bool = True,
) -> Component:
    """Describe the class `class_name` of the file that is named after the component."""
    return Component(
        name=name,
        target=f"zoo_attention.{_FOLDERS[family]}.{name}:{class_name}",
        family=family,
        summary=summary,
        paper=paper,
        ndims=ndims,
        mask=mask,
    )


# fmt: off
COMPONENTS = [
    _component("se", "channel", "SqueezeExcite", "arXiv 1709.01507", "Weigh channels by what the whole map says"),
    _component("ese", "channel", "EffectiveSqueezeExcite", "arXiv 1911.06667", "Weigh channels by one layer over their means"),
    _component("ge", "channel", "GatherExcite", "arXiv 1810.12348", "Weigh each value by what its channel says around it"),
    _component("eca", "channel", "EfficientChannelAttention", "arXiv 1910.03151", "Weigh each channel by its neighbours' means"),
    _component("cbam", "mixed", "ConvBlockAttention", "arXiv 1807.06521", "Weigh channels, then positions, by means and maxima"),
    _component("bam", "mixed", "BottleneckAttention", "arXiv 1807.06514", "Weigh each value by its channel and its neighbourhood together"),
    _component("scse", "mixed", "ConcurrentSqueezeExcite", "arXiv 1803.02579", "Weigh channels and positions side by side, and add both"),
    _component("simam", "mixed", "SimAM", "ICML 2021", "Weigh each value by how far it stands out of its channel"),
    _component("mhsa", "self", "MultiHeadSelfAttention", "arXiv 1706.03762", "Let each position read from all others, in several heads"),
    _component("non_local", "self", "NonLocal", "arXiv 1711.07971", "Add to each position what it reads from all positions"),
    _component("gc", "self", "GlobalContext", "arXiv 1904.11492", "Add one attention-pooled summary of the map to all positions"),
    _component("sagan", "self", "SelfAttentionGAN", "arXiv 1805.08318", "Add what each position reads from all, from nothing at the start"),
    _component("pam", "self", "PositionAttention", "arXiv 1809.02983", "Let each position read from all others, DANet's half over positions"),
    _component("cam", "self", "ChannelReading", "arXiv 1809.02983", "Let each channel read from all others, DANet's half over channels"),
]
# fmt: on


@hookimpl
def zoo_attentions() -> list[Component]:
    """Offer the attention modules of this package."""
    return COMPONENTS
