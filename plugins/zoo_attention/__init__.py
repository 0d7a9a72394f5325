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
    _component("srm", "channel", "StyleRecalibration", "arXiv 1903.10829", "Weigh each channel by its own mean and standard deviation"),
    _component("gct", "channel", "GatedChannelTransform", "arXiv 1909.11519", "Let channels compete or cooperate by the norms of their maps"),
    _component("gaussian_ct", "channel", "GaussianContext", "CVPR 2021", "Weigh a channel the less, the farther its mean is from the others'"),
    _component("lct", "channel", "LinearContextTransform", "arXiv 1909.03834", "Weigh each channel by where its mean stands in its group"),
    _component("fca", "channel", "FrequencyChannelAttention", "arXiv 2012.11879", "Weigh channels by cosine components of their maps", ndims=(2,)),
    _component("nam", "channel", "NormalizationAttention", "arXiv 2111.12419", "Weigh values by their batch norm and the share of its scale"),
    _component("grn", "channel", "GlobalResponseNorm", "arXiv 2301.00808", "Strengthen channels whose maps are large among all channels"),
    _component("gsop", "channel", "SecondOrderPooling", "arXiv 1811.12006", "Weigh channels by how they vary together over the map"),
    _component("spatial_gate", "spatial", "SpatialGate", "arXiv 1807.06521", "Weigh positions by the mean and maximum of their channels"),
    _component("sse", "spatial", "SpatialSqueezeExcite", "arXiv 1803.02579", "Weigh each position by a sum of its channels"),
    _component("lka", "spatial", "LargeKernelAttention", "arXiv 2202.09741", "Weigh values by a large convolution made of three small ones"),
    _component("msca", "spatial", "MultiScaleConvAttention", "arXiv 2209.08575", "Weigh values by strip convolutions of several lengths"),
    _component("strip_pool", "spatial", "StripPooling", "arXiv 2003.13328", "Weigh values by the means of their row and column", ndims=(2,)),
    _component("cbam", "mixed", "ConvBlockAttention", "arXiv 1807.06521", "Weigh channels, then positions, by means and maxima"),
    _component("bam", "mixed", "BottleneckAttention", "arXiv 1807.06514", "Weigh each value by its channel and its neighbourhood together"),
    _component("scse", "mixed", "ConcurrentSqueezeExcite", "arXiv 1803.02579", "Weigh channels and positions side by side, and add both"),
    _component("sge", "mixed", "SpatialGroupEnhance", "arXiv 1905.09646", "Weigh positions, group by group, by their likeness to the mean"),
    _component("shuffle", "mixed", "ShuffleAttention", "arXiv 2102.00240", "Weigh half of the channels by their means, half by position, and mix them"),
    _component("coord", "mixed", "CoordinateAttention", "arXiv 2103.02907", "Weigh each value by its row and by its column", ndims=(2,)),
    _component("triplet", "mixed", "TripletAttention", "arXiv 2010.03045", "Weigh each value by three planes, one for each pair of axes", ndims=(2,)),
    _component("polarized_parallel", "mixed", "ParallelPolarizedAttention", "arXiv 2107.00782", "Weigh channels and positions by attention pooling, and add both"),
    _component("polarized_sequential", "mixed", "SequentialPolarizedAttention", "arXiv 2107.00782", "Weigh channels, then positions, by attention pooling"),
    _component("epsa", "mixed", "PyramidSqueezeAttention", "arXiv 2105.14447", "Convolve at several sizes that compete for each channel"),
    _component("ema", "mixed", "EfficientMultiScaleAttention", "arXiv 2305.13563", "Weigh positions, group by group, by strips and a 3x3 in dialogue", ndims=(2,)),
    _component("ela", "mixed", "EfficientLocalAttention", "arXiv 2403.01123", "Weigh each value by its row and column, read with their neighbours", ndims=(2,)),
    _component("gam", "mixed", "GlobalAttentionMechanism", "arXiv 2112.05561", "Weigh each value by its position's channels, then by its surroundings"),
    _component("parnet_sse", "mixed", "ParNetSkipSqueezeExcite", "arXiv 2110.07641", "Convolve at two sizes, and add the map with its channels weighed"),
    _component("simam", "mixed", "SimAM", "ICML 2021", "Weigh each value by how far it stands out of its channel"),
    _component("mhsa", "self", "MultiHeadSelfAttention", "arXiv 1706.03762", "Let each position read from all others, in several heads"),
    _component("non_local", "self", "NonLocal", "arXiv 1711.07971", "Add to each position what it reads from all positions"),
    _component("gc", "self", "GlobalContext", "arXiv 1904.11492", "Add one attention-pooled summary of the map to all positions"),
    _component("sagan", "self", "SelfAttentionGAN", "arXiv 1805.08318", "Add what each position reads from all, from nothing at the start"),
    _component("pam", "self", "PositionAttention", "arXiv 1809.02983", "Let each position read from all others, DANet's half over positions"),
    _component("cam", "self", "ChannelReading", "arXiv 1809.02983", "Let each channel read from all others, DANet's half over channels"),
    _component("external", "self", "ExternalAttention", "arXiv 2105.02358", "Let each position read from a memory that all samples share"),
    _component("a2", "self", "DoubleAttention", "arXiv 1810.11579", "Gather features of the whole map, and let each position pick from them"),
    _component("xca", "self", "CrossCovarianceAttention", "arXiv 2106.09681", "Let each channel read from channels that are alike over the map"),
    _component("efficient", "self", "EfficientAttention", "arXiv 1812.01243", "Let each position read from a summary of the map, in linear time"),
    _component("criss_cross", "self", "CrissCrossAttention", "arXiv 1811.11721", "Let each position read from its row and column, twice"),
    _component("axial", "self", "AxialAttention", "arXiv 1912.12180", "Let each position read from its column, then from its row"),
    _component("bottleneck", "self", "BottleneckSelfAttention", "arXiv 2101.11605", "Let each position read from all, by content and relative position"),
    _component("halo", "self", "HaloAttention", "arXiv 2103.12731", "Let blocks of positions read from themselves and a halo around them"),
    _component("separable", "self", "SeparableSelfAttention", "arXiv 2206.02680", "Weigh each position's values by one summary of the map"),
    _component("outlook", "self", "OutlookAttention", "arXiv 2106.13112", "Let neighbours read from each other as the position between them says"),
    _component("lambda_layer", "self", "LambdaLayer", "arXiv 2102.08602", "Apply to each position a small linear map made of its context"),
    _component("additive", "self", "EfficientAdditiveAttention", "arXiv 2303.15446", "Let the key of each position meet one query pooled from all"),
    _component("sk", "branch", "SelectiveKernel", "arXiv 1903.06586", "Convolve at several sizes that compete for each channel"),
    _component("split", "branch", "SplitAttention", "arXiv 2004.08955", "Convolve to several splits that compete for each channel"),
    _component("involution", "branch", "Involution", "arXiv 2103.06255", "Read neighbours with a kernel that each position makes itself"),
    _component("cot", "branch", "ContextualTransformer", "arXiv 2107.12292", "Read neighbours as their convolved keys say, beside a convolution"),
    _component("dynamic_conv", "branch", "DynamicConv", "arXiv 1912.03458", "Convolve each sample with its own mixture of kernels"),
    _component("odconv", "branch", "OmniDimensionalConv", "arXiv 2209.07947", "Convolve each sample with kernels weighed along all their axes"),
]
# fmt: on


@hookimpl
def zoo_attentions() -> list[Component]:
    """Offer the attention modules of this package."""
    return COMPONENTS
