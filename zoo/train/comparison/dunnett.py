"""Dunnett's test: means of several groups, each against that of one control, by a deviation pooled over all.

Paper    Dunnett, "A Multiple Comparison Procedure for Comparing Several Treatments with a Control", J. Am. Stat.
         Assoc. 50 (1955), 1096-1121; for groups of different size in Biometrics 20 (1964), 482-491
Formula  p_i = 1 - P(max_j |T_j| <= |t_i|), T multivariate t with correlations l_j l_k, l_j^2 = n_j / (n_j + n_0)

Given the control's mean z and the deviation s the T_j are independent, so that two integrals are left, which are
computed by quadrature. SciPy's own test draws them at random, and is off by some 0.0002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_NODES = 100  # of each quadrature: five places of a probability


def probabilities(
    differences: Sequence[float], sizes: Sequence[int], control: int, std: float, freedom: int
) -> list[float]:
    """For each group the probability of so great a difference by chance alone, in any of the groups.

    Args:
        differences: Of each group's mean from that of the control.
        sizes: Of each group, at least 1.
        control: Size of the control.
        std: Deviation within groups, pooled, above 0.
        freedom: Degrees of freedom that it is known with, at least 1.
    """
    import numpy as np
    from scipy import special, stats

    z, of_z = np.polynomial.hermite_e.hermegauss(_NODES)
    u, of_u = np.polynomial.legendre.leggauss(_NODES)
    s = np.sqrt(stats.chi2.ppf((u + 1) / 2, freedom) / freedom)
    weights = np.outer(of_z / math.sqrt(2 * math.pi), of_u / 2)
    found = []
    for difference, size in zip(differences, sizes, strict=True):
        t = abs(difference) / (std * math.sqrt(1 / size + 1 / control))
        within = np.ones_like(weights)
        for other in sizes:
            share = math.sqrt(other / (other + control))
            middle, scale = share * z[:, None], math.sqrt(control / (other + control))
            within *= special.ndtr((middle + t * s) / scale) - special.ndtr(
                (middle - t * s) / scale
            )
        found.append(max(0.0, 1.0 - float((weights * within).sum())))
    return found
