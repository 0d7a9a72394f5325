"""Pooling heads, one short file each: a map (N, C, *spatial) becomes one vector (N, out_features).

To add one: write `<name>.py` with one class, and add one line to `COMPONENTS`. The generic tests of
`tests/plugins/zoo_pooling/test_contract.py` then hold for it as well.
"""

from __future__ import annotations

from zoo import Component, hookimpl


def _component(
    name: str,
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
        target=f"zoo_pooling.{name}:{class_name}",
        summary=summary,
        paper=paper,
        ndims=ndims,
        mask=mask,
    )


# fmt: off
COMPONENTS = [
    _component("avg", "AveragePool", "", "Mean over positions"),
    _component("max", "MaxPool", "", "Maximum over positions"),
    _component("avgmax", "AverageMaxPool", "", "Mean of the mean and the maximum over positions"),
    _component("catavgmax", "ConcatAverageMaxPool", "", "Mean and maximum over positions, one after the other"),
    _component("gem", "GeneralizedMeanPool", "arXiv 1711.02512", "Generalised mean with a learned exponent"),
    _component("lse", "LogSumExpPool", "arXiv 1411.6228", "Smooth maximum over positions, its sharpness learned"),
    _component("softpool", "SoftPool", "arXiv 2101.00440", "Mean over positions, weighted by the exponential of each value"),
    _component("spp", "SpatialPyramidPool", "arXiv 1406.4729", "Maxima over grids of ever finer bins"),
    _component("mac", "MaximumActivations", "arXiv 1511.05879", "Maximum over positions, as a vector of length 1"),
    _component("rmac", "RegionalMaximumActivations", "arXiv 1511.05879", "Maxima over many square regions, summed"),
    _component("stats", "StatisticsPool", "Interspeech 2017", "Mean and standard deviation over positions (x-vectors)"),
    _component("abmil", "AttentionMILPool", "arXiv 1802.04712", "Mean over positions, weighted by a small network"),
    _component("gated_abmil", "GatedAttentionMILPool", "arXiv 1802.04712", "Mean over positions, weighted by a small network with a gate"),
    _component("attentive_stats", "AttentiveStatisticsPool", "arXiv 2005.07143", "Mean and standard deviation, each channel weighing positions by itself"),
    _component("kmax", "KMaxPool", "arXiv 1404.2188", "The k largest values of each channel, in their order"),
    _component("seqpool", "SequencePool", "arXiv 2104.05704", "Mean over positions, weighted by a linear layer"),
    _component("simpool", "SimPool", "arXiv 2309.06891", "What the mean of the map finds in it by attention"),
    _component("map", "MultiHeadAttentionPool", "arXiv 1810.00825", "What a learned query reads from all positions, in several heads"),
    _component("attention_pool", "AttentionPool", "arXiv 2103.00020", "What the mean of the map reads from it, as in CLIP"),
    _component("netvlad", "NetVLAD", "arXiv 1511.07247", "Residuals of the vectors to learned centres"),
    _component("covariance", "CovariancePool", "arXiv 1712.01034", "Square root of the covariance of the channels"),
    _component("csra", "ClassResidualAttention", "arXiv 2108.02456", "For each class the mean of its scores and what its own attention adds"),
]
# fmt: on


@hookimpl
def zoo_heads() -> list[Component]:
    """Offer the pooling heads of this package."""
    return COMPONENTS
