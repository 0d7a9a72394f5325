"""Windows against loops."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.self_attention import windows


@pytest.mark.parametrize(("shape", "size", "halo"), [((3, 5), 2, 1), ((4,), 3, 0), ((1, 1), 4, 2)])
def test_windows_hold_what_stands_there(shape: tuple[int, ...], size: int, halo: int) -> None:
    """Each place of each window is the position it stands on, where that is inside the map."""
    numbers = torch.arange(2 * torch.Size(shape).numel()).reshape(2, 1, *shape)
    index, inside = windows.places(numbers, size, halo)
    corners = torch.cartesian_prod(*(torch.arange(0, side, size) for side in shape))
    corners = corners.reshape(-1, len(shape)).tolist()
    steps = torch.cartesian_prod(*[torch.arange(-halo, size + halo)] * len(shape))
    steps = steps.reshape(-1, len(shape)).tolist()
    assert index.shape == (2 * len(corners), len(steps))
    for n in range(2):
        for m, corner in enumerate(corners):
            for k, step in enumerate(steps):
                place = [c + s for c, s in zip(corner, step, strict=True)]
                within = all(0 <= p < side for p, side in zip(place, shape, strict=True))
                at = n * len(corners) + m, k
                assert inside[at] == within
                if within:
                    assert index[at] == numbers[(n, 0, *place)]


@pytest.mark.parametrize("shape", [(3, 5), (7,), (4, 4), (1, 1)])
def test_joined_undoes_places(shape: tuple[int, ...]) -> None:
    """Blocks put together again are the map."""
    x = torch.randn(2, 3, *shape)
    row = x.flatten(2).transpose(1, 2)
    index, _ = windows.places(x, 2)
    assert torch.equal(windows.joined(row.flatten(0, 1)[index], x, 2), row)
