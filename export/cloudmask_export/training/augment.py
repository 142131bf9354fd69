"""Images varied each time they are seen: flips, turns, scale, light, bands, pixel size. Torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from cloudmask_export.training.recipe import Augment

HAZE_BLUE = 0.5
"""How the additive part falls from the first band to the last, as for haze."""


def coarser(images: Tensor, sets: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Average images, (n, band, y, x), and unite the sets of their labels, (n, y, x)."""
    if factor == 1:
        return images, sets
    united = sets[:, ::factor, ::factor].clone()
    for row in range(factor):
        for column in range(factor):
            united |= sets[:, row::factor, column::factor]
    return functional.avg_pool2d(images, factor), united


def moved(
    images: Tensor, sets: Tensor, crop: int, how: Augment, rng: Generator
) -> tuple[Tensor, Tensor]:
    """Flip, turn, scale and cut each image on its own.

    Args:
        images: (n, band, y, x).
        sets: (n, y, x).
        crop: Pixels along an edge of the result.
        how: Limits.
        rng: Draws.
    """
    count, _, height, width = images.shape
    grid = _grid(count, (height, width), crop, how, rng)
    seen = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    labels = functional.grid_sample(
        sets[:, None].float(), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return seen, labels[:, 0].round().to(torch.uint8)


def _grid(count: int, size: tuple[int, int], crop: int, how: Augment, rng: Generator) -> Tensor:
    """Say where each pixel of the results comes from: (n, crop, crop, 2), -1..1."""
    quarter = torch.randint(4, (count,), generator=rng) * (math.pi / 2)
    turn = (torch.rand(count, generator=rng) - 0.5) * (math.pi / 2 if how.rotate else 0.0)
    flip = torch.randint(2, (count,), generator=rng) * 2.0 - 1.0
    bound = math.log(how.scale)
    zoom = torch.exp((torch.rand(count, generator=rng) * 2 - 1) * bound)
    angle = quarter + turn
    away = torch.rand(count, 2, generator=rng) * 2 - 1
    reach = torch.tensor([crop / size[1], crop / size[0]])
    sine, cosine = torch.sin(angle), torch.cos(angle)
    matrix = torch.empty(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = cosine * flip * zoom * reach[0], -sine * zoom * reach[0]
    matrix[:, 1, 0], matrix[:, 1, 1] = sine * flip * zoom * reach[1], cosine * zoom * reach[1]
    room = (1 - reach[None, :] * zoom[:, None]).clamp(min=0)
    matrix[:, :, 2] = away * room
    return functional.affine_grid(matrix, [count, 1, crop, crop], align_corners=False)


def relit(images: Tensor, how: Augment, rng: Generator) -> Tensor:
    """Vary the light: reflectance (n, band, y, x) in and out."""
    count, bands = images.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng)

    gain = torch.exp(how.brightness * normal(count, 1) + how.colour * normal(count, bands))
    slope = torch.linspace(1.0, HAZE_BLUE, bands)
    added = how.haze * (normal(count, 1) * slope + 0.3 * normal(count, bands))
    images = images * gain[:, :, None, None] + added[:, :, None, None]
    if how.surface:
        images = _lower(images, how.surface, rng)
    return images + how.noise * torch.randn(images.shape, generator=rng)


def _lower(images: Tensor, share: float, rng: Generator) -> Tensor:
    """Take most of what the darkest pixels have off some images: about what level 2A does."""
    count = images.shape[0]
    dark = images.flatten(2).quantile(0.01, dim=2)
    part = torch.rand(count, 1, generator=rng) * (torch.rand(count, 1, generator=rng) < share)
    return images - (dark * part * 0.9)[:, :, None, None]


def without_bands(images: Tensor, share: float, rng: Generator) -> Tensor:
    """Set one to three bands of some images, normalised (n, band, y, x), to the mean."""
    count, bands = images.shape[:2]
    lose = torch.rand(count, generator=rng) < share
    which = torch.rand(count, bands, generator=rng) < 2.0 / bands
    return images.masked_fill((which & lose[:, None])[:, :, None, None], 0.0)
