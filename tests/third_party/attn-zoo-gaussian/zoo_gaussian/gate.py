from torch import nn


class GaussianGate(nn.Module):
    """Weigh each channel by a Gaussian of its standardised mean.

    Args:
        channels: Channels of the map.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        width: Standard deviation of the Gaussian, positive.
    """

    def __init__(self, channels, *, ndim=2, width=2.0):
        super().__init__()
        self.axes = tuple(range(2, 2 + ndim))
        self.width = width

    def forward(self, x, mask=None):
        if mask is None:
            mean = x.mean(self.axes, keepdim=True)
        else:
            real = mask.unsqueeze(1)
            count = real.sum(self.axes, keepdim=True).clamp(min=1)
            mean = x.where(real, 0).sum(self.axes, keepdim=True) / count
        centred = mean - mean.mean(1, keepdim=True)
        score = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        return x * (-score.square() / (2 * self.width**2)).exp()
