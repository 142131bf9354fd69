"""Be the authors: make a network as they do, save it as they do, and run it.

    python author.py dynunet-edgenext_small-3 --seed 1 --out FOLDER --shapes 1x256x256 3x333x333

Into the folder go `weights.pkl`, `weights.pth` or `weights.safetensors`; `state.json`, for every
entry of the state dict its shape, dtype and the SHA-256 of its bytes, in order; and for every
shape (batch, y, x) `SHAPE.npz` with `image` (batch, band, y, x), as it enters the network, and
`probabilities` (batch, class, y, x).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import operators  # noqa: F401 (before anything that imports torchvision)
import torch
from torch import Tensor, nn

CALIBRATION = "2x160x160"
"""What the random weights are scaled on: batch x rows x columns."""
OCTAVES = (128, 32, 8)
"""Sizes in pixels of what is seen in an image."""
LOGIT_SPREAD = 3.0
"""Standard deviation of each class's logits: clear decisions, but not all 0 or 1."""
SLIM = {"encoder_depth": 4, "decoder_channels": (64, 32, 24, 16)}
"""The network that comes with this package, as segmentation_models_pytorch is asked for it."""
SHIFT, TRIALS = 0.05, 300
"""Deviation of the shifts of the logits that are tried, and how many."""


def create(architecture: str, classes: int, activation: str) -> nn.Module:
    """Make the authors' network."""
    decoder, encoder, bands = architecture.split("-")
    if decoder in ("smp", "slim"):
        import segmentation_models_pytorch as smp

        return smp.Unet(
            f"tu-{encoder}", encoder_weights=None, in_channels=int(bands), classes=classes,
            **(SLIM if decoder == "slim" else {}),
        )  # fmt: skip
    import timm
    from fastai.vision.learner import create_unet_model

    arch = partial(timm.create_model, model_name=encoder, pretrained=False, in_chans=int(bands))
    act = getattr(nn, activation)
    size = (509, 509)
    return create_unet_model(arch, classes, img_size=size, act_cls=act, pretrained=False)


def randomise(net: nn.Module, images: Tensor) -> None:
    """Give every parameter and buffer a random value, so that signals neither die nor explode."""
    for name, tensor in net.state_dict().items():
        _draw(name, tensor)
    _scale(net, images)
    for name, tensor in net.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.mul_(torch.empty_like(tensor).uniform_(0.9, 1.1))
    _spread(net, images)


def _draw(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        tensor.fill_(torch.randint(1, 10_000, ()).item())
    elif tensor.ndim > 1 and name.endswith("weight"):
        tensor.normal_()
    elif name.endswith(("bias", "running_mean")):
        tensor.normal_(mean=1.0, std=0.2)
    else:  # scales and variances
        tensor.uniform_(0.2, 0.8)


def _scale(net: nn.Module, images: Tensor) -> None:
    """Scale every layer to outputs of deviation 1, and let normalisations know what they get."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(_unit) for layer in layers]
    net(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        norm.momentum = 0.1
        norm.eval()


def _unit(layer: Any, _inputs: Any, output: Tensor) -> Tensor:
    deviation = output.std().clamp(min=1e-3)
    for parameter in layer.parameters():
        parameter.div_(deviation)
    return output / deviation


def _spread(net: nn.Module, images: Tensor) -> None:
    """Let no class win everywhere."""
    weight, bias = list(net.parameters())[-2:]
    logits = net(images).transpose(0, 1).flatten(1)
    mean, factor = logits.mean(1), LOGIT_SPREAD / logits.std(1)
    weight.mul_(factor[:, None, None, None])
    bias.copy_((bias - mean) * factor)


def smooth(shape: tuple[int, ...]) -> Tensor:
    """Draw an image (batch, band, y, x) of mean 0 and deviation 1 per band, at several scales."""
    image = 0.02 * torch.randn(shape)
    for octave in OCTAVES:
        coarse = torch.randn(*shape[:2], *(max(2, size // octave) for size in shape[2:]))
        image += nn.functional.interpolate(coarse, shape[2:], mode="bilinear")
    spatial = (2, 3)
    return (image - image.mean(spatial, keepdim=True)) / image.std(spatial, keepdim=True)


def save(net: nn.Module, kind: str, folder: Path) -> None:
    """Write the weights: CloudS2Mask pickles the network, OmniCloudMask its state."""
    path = folder / f"weights.{kind}"
    if kind == "pkl":
        torch.save(net, path)
    elif kind == "pth":
        torch.save(net.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(net.state_dict(), path)


def describe(state: dict[str, Tensor]) -> list[tuple[str, list[int], str, str]]:
    """List name, shape, dtype and SHA-256 of the bytes."""
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    return [
        (name, list(array.shape), str(array.dtype), hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in arrays.items()
    ]


def run(net: nn.Module, images: dict[str, Tensor], folder: Path) -> None:
    """Run the images, each under the name of its shape, and write them and what came out."""
    logits = {shape: net(image) for shape, image in images.items()}
    shift = _settle(list(logits.values()))
    list(net.parameters())[-1].add_(shift)
    shifted = {shape: found + shift[:, None, None] for shape, found in logits.items()}
    first = next(iter(images))
    assert torch.allclose(net(images[first]), shifted[first], rtol=0, atol=1e-5)
    for shape, image in images.items():
        probabilities = np.asarray(shifted[shape].softmax(1))
        np.savez(folder / f"{shape}.npz", image=image, probabilities=probabilities)


def _settle(logits: list[Tensor]) -> Tensor:
    """Find what to add to the biases of the head so that no pixel is near a tie.

    Among a million pixels some are always so near that the last bits decide, and those differ
    from one engine and one processor to the next. Of many small shifts, take the best.
    """
    pixels = torch.cat([found.transpose(0, 1).flatten(1) for found in logits], dim=1)
    best, second = pixels.topk(2, dim=0).values
    near = pixels[:, best - second < 10 * SHIFT]
    shifts = SHIFT * torch.randn(TRIALS, len(pixels))
    return max(shifts, key=lambda shift: _margin(near + shift[:, None]))


def _margin(pixels: Tensor) -> float:
    best, second = pixels.topk(2, dim=0).values
    return float((best - second).min())


def draw(bands: int, shape: str) -> Tensor:
    """Draw an image of `shape`, batch x rows x columns, such as "3x256x256"."""
    batch, *size = (int(number) for number in shape.split("x"))
    return smooth((batch, bands, *size))


def _kind(architecture: str) -> str:
    """How the family that uses the architecture publishes it: V1 is the one with convnext."""
    return {"regnety_006": "pkl", "convnextv2_nano": "pth"}.get(
        architecture.split("-")[1], "safetensors"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("architecture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--activation", default="Mish")
    parser.add_argument("--kind", choices=["pkl", "pth", "safetensors"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shapes", nargs="*", default=[])
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    bands = int(options.architecture.split("-")[-1])
    net = create(options.architecture, options.classes, options.activation).eval()
    randomise(net, draw(bands, CALIBRATION))
    if options.shapes:
        run(net, {shape: draw(bands, shape) for shape in options.shapes}, options.out)
    save(net, options.kind or _kind(options.architecture), options.out)
    (options.out / "state.json").write_text(json.dumps(describe(net.state_dict())), "utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with torch.no_grad():
        main()
