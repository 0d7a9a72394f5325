"""Augmentation of sounds and their spectrograms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from zoo.errors import InvalidValue
from zoo.train.augmentation import AUGMENTATIONS, make_augmentation

NAMES = [(name, 3) for name in AUGMENTATIONS["audio"]] + [("spec_augment", 4)]


def _sounds(count: int = 32, *, ndim: int = 3) -> Tensor:
    shape = (count, 2, 100) if ndim == 3 else (count, 2, 20, 30)
    return torch.rand(shape, generator=Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize(("name", "ndim"), NAMES)
def test_the_generator_decides(name: str, ndim: int) -> None:
    """The same state gives the same batch, another gives another; input and shape stay."""
    sounds, augment = _sounds(ndim=ndim), make_augmentation({"name": name})
    before = sounds.clone()
    first, again, other = (augment(sounds, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == (sounds.shape, sounds.dtype)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(sounds, before)


@pytest.mark.parametrize(("name", "ndim"), NAMES)
def test_samples_change_each_in_its_own_way(name: str, ndim: int) -> None:
    """Copies of one sound become different sounds."""
    sounds = _sounds(1, ndim=ndim).repeat(32, *[1] * (ndim - 1))
    augmented = make_augmentation({"name": name})(sounds, Generator().manual_seed(1))
    assert len(torch.unique(augmented, dim=0)) > 3


def test_shifts_move_and_fill_with_silence() -> None:
    """Each clip is one of the possible moves, the same for all channels, and all occur."""
    sound = _sounds(1)
    moves = []
    for move in range(-10, 11):
        moved = torch.zeros_like(sound[0])
        if move >= 0:
            moved[:, move:] = sound[0, :, : 100 - move]
        else:
            moved[:, :move] = sound[0, :, -move:]
        moves.append(moved)
    shift = make_augmentation({"name": "shift", "share": 0.1})
    shifted = shift(sound.expand(400, -1, -1), Generator().manual_seed(0))
    found = {next(n for n, m in enumerate(moves) if torch.equal(one, m)) for one in shifted}
    assert found == set(range(21))


def test_short_clips_move_within_their_own_length() -> None:
    """By a share of it, and never behind its end; a batch's longest clip makes no difference."""
    sound = _sounds(1)
    sound[:, :, 10:] = 0
    mask = torch.arange(100).expand(400, -1) < 10
    shift = make_augmentation({"name": "shift", "share": 0.2})
    padded = shift(sound.expand(400, -1, -1), Generator().manual_seed(0), mask=mask)
    alone = shift(sound[:, :, :10].expand(400, -1, -1), Generator().manual_seed(0))
    assert torch.equal(padded[:, :, :10], alone)
    assert not padded[:, :, 10:].any()
    silent = (padded[:, 0, :10] == 0).sum(1)
    assert set(silent.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("name", AUGMENTATIONS["audio"])
def test_padding_stays_silent(name: str) -> None:
    """Whatever happens to the clips; and a mask that hides nothing changes nothing."""
    sounds, augment = _sounds(), make_augmentation({"name": name})
    whole = torch.ones(32, 100, dtype=torch.bool)
    expected = augment(sounds, Generator().manual_seed(1))
    assert torch.equal(augment(sounds, Generator().manual_seed(1), mask=whole), expected)
    mask = torch.arange(100) < torch.arange(69, 101)[:, None]
    augmented = augment(sounds * mask[:, None], Generator().manual_seed(1), mask=mask)
    assert not augmented.masked_select(~mask[:, None]).any()
    assert augmented.masked_select(mask[:, None]).any()


def test_noise_is_as_loud_as_it_says() -> None:
    """In decibels below the loudest sample of each clip."""
    sounds = torch.zeros(64, 1, 4000)
    sounds[:, :, 0] = torch.linspace(0.1, 1, 64)[:, None]
    noise = make_augmentation({"name": "noise", "quietest": -40, "loudest": -20})
    added = noise(sounds, Generator().manual_seed(0)) - sounds
    level = 20 * torch.log10(added.std(2).flatten() / sounds[:, 0, 0])
    assert -40.5 < float(level.min()) < -37
    assert -23 < float(level.max()) < -19.5


def test_speed_plays_faster_and_slower() -> None:
    """A ramp becomes steeper or flatter by at most the change, and silence follows where it ends."""
    ramp = torch.arange(1.0, 101.0).expand(300, 1, 100)
    played = make_augmentation({"name": "speed", "change": 0.2})(ramp, Generator().manual_seed(0))
    slopes = played[:, 0, 50] - played[:, 0, 49]
    assert 0.8 <= float(slopes.min()) < 0.83
    assert 1.17 < float(slopes.max()) <= 1.2001
    assert torch.equal(played[:, 0, 0], torch.ones(300))
    fast = played[slopes > 1.1][:, 0]
    assert bool((fast[:, 95:] == 0).all())
    unchanged = make_augmentation({"name": "speed", "change": 0.0})(ramp, Generator())
    assert torch.equal(unchanged, ramp)


def test_spec_augment_hides_bands() -> None:
    """Whole rows and columns, the same in all channels, none wider than its share."""
    options = {"times": 1, "time_share": 0.2, "pitches": 1, "pitch_share": 0.5}
    augment = make_augmentation({"name": "spec_augment", **options})
    widths = []
    for one in augment(_sounds(300, ndim=4), Generator().manual_seed(0)):
        hidden = one == 0
        assert torch.equal(hidden[0], hidden[1])
        rows, columns = hidden[0].all(1), hidden[0].all(0)
        assert torch.equal(hidden[0], rows[:, None] | columns[None])
        widths.append((int(rows.sum()), int(columns.sum())))
    assert max(row for row, _ in widths) == 10
    assert max(column for _, column in widths) == 6
    assert (0, 0) in widths
    none = make_augmentation({"name": "spec_augment", "times": 0, "pitches": 0})
    assert torch.equal(none(_sounds(ndim=4), Generator()), _sounds(ndim=4))


def test_bands_in_time_are_shares_of_a_clips_own_frames() -> None:
    """Of clips of 10 and 30 frames in one batch, and nowhere behind their ends."""
    lengths = torch.tensor([10, 30]).repeat(300)
    mask = torch.arange(30) < lengths[:, None]
    options = {"times": 1, "time_share": 0.2, "pitches": 0}
    augment = make_augmentation({"name": "spec_augment", **options})
    hidden = augment(_sounds(600, ndim=4), Generator().manual_seed(0), mask=mask) == 0
    assert not bool((hidden & ~mask[:, None, None]).any())
    columns = hidden.all(2)[:, 0]  # (N, F)
    assert [int(columns[lengths == length].sum(1).max()) for length in (10, 30)] == [2, 6]
    assert bool(columns[lengths == 10].any(0)[:10].all())
    assert bool(columns[lengths == 30].any(0).all())
    whole = torch.ones(600, 30, dtype=torch.bool)
    alike = [
        augment(_sounds(600, ndim=4), Generator().manual_seed(0), mask=m) for m in (whole, None)
    ]
    assert torch.equal(*alike)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "shift", "share": 1.5}, "shift: share is 1.5"),
        ({"name": "noise", "quietest": -10, "loudest": -20}, "noise: from -10 to -20"),
        ({"name": "noise", "loudest": 3}, "at most 0"),
        ({"name": "speed", "change": 1.0}, "speed: change is 1.0"),
        ({"name": "spec_augment", "times": -1}, "spec_augment: -1 times"),
        ({"name": "spec_augment", "pitch_share": 2}, "shares in"),
        ({"name": "spec_augment", "times": 1.5}, "times 1.5; give a whole number"),
        ({"name": "spec_augment", "pitches": True}, "pitches True; give a whole number"),
    ],
)
def test_wrong_options_are_refused(step: dict[str, Any], message: str) -> None:
    """The message names the augmentation and the value."""
    with pytest.raises(InvalidValue, match=message):
        make_augmentation(step)
