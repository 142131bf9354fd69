"""The networks of CloudS2Mask and OmniCloudMask in torch, on bare timm encoders.

Names, shapes and order of the state-dict entries are those of the authors' networks: fastai's
`create_unet_model` and `segmentation_models_pytorch.Unet`. What those do with hooks and with
branches on shapes is written here as plain data flow, so that a trace holds at every size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

DECODER_WIDTHS = (256, 128, 64, 32, 16)
"""Channels of the five decoder blocks that segmentation_models_pytorch.Unet makes by default."""
SLIM_WIDTHS = (64, 32, 24, 16)
"""Those of a slim one, which leaves the encoder's last stage out."""

_FLOAT, _INT64 = 1, 7  # onnx.TensorProto.FLOAT and INT64


def network(architecture: str, classes: int = 4) -> nn.Module:
    """Make a network with fresh weights, (batch, band, y, x) -> logits (batch, class, y, x).

    Args:
        architecture: A name such as `dynunet-regnety_006-13`: decoder, encoder, bands.
            Decoders are `dynunet`, `smp` and `slim`, smp's with fewer and narrower blocks.
        classes: How many.
    """
    decoder, encoder, bands = architecture.split("-")
    if decoder == "dynunet":
        return DynamicUnet(encoder, int(bands), classes)
    widths = {"smp": DECODER_WIDTHS, "slim": SLIM_WIDTHS}[decoder]
    return Unet(encoder, int(bands), classes, widths)


class _Activate(torch.autograd.Function):
    """Mish in torch, `cloudmask::Activation` in the graph: which one it is, the weights tell."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return functional.mish(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        soft, gate = torch.tanh(functional.softplus(x)), torch.sigmoid(x)
        return gradients[0] * (soft + x * gate * (1 - soft * soft))

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("cloudmask::Activation", x).setType(x.type())


class _Crop(torch.autograd.Function):
    """Cut rows and columns that are too many: (n, c, Y, X) -> (n, c, y, x) of `like`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, like: Tensor) -> Tensor:
        rows, columns = like.shape[2:]
        ctx.cut = (0, x.shape[3] - columns, 0, x.shape[2] - rows)
        return x[..., :rows, :columns].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return functional.pad(gradients[0], ctx.cut), None

    @staticmethod
    def symbolic(g: Any, x: Any, like: Any) -> Any:
        zeros, axes = (_constant(g, [0, 0]), _constant(g, [2, 3]))
        size = g.op("Shape", like, start_i=2)
        return g.op("Slice", x, zeros, size, axes)


class _Nearest(torch.autograd.Function):
    """Resize to (y, x) of `like`, divided by `divisor`, as torch's mode "nearest" does.

    The graph gathers: onnxruntime's Resize divides by out/in where torch multiplies by in/out, in
    float32 both, and at some sizes they take different pixels. Columns first, as that is the slow
    direction, while there are few rows.
    """

    @staticmethod
    def forward(_: Any, x: Tensor, like: Tensor, divisor: int) -> Tensor:
        size = (like.shape[2] // divisor, like.shape[3] // divisor)
        return functional.interpolate(x, size, mode="nearest")

    @staticmethod
    def symbolic(g: Any, x: Any, like: Any, divisor: int) -> Any:
        for axis in (3, 2):
            wanted = g.op("Shape", like, start_i=axis, end_i=axis + 1)
            if divisor > 1:
                wanted = g.op("Div", wanted, _constant(g, [divisor]))
            x = g.op("Gather", x, _source_index(g, x, axis, wanted), axis_i=axis)
        return x


def _source_index(g: Any, x: Any, axis: int, wanted: Any) -> Any:
    """Where each pixel comes from: min(floor(i * (in / out)), in - 1), the product in float32."""
    present = g.op("Cast", g.op("Shape", x, start_i=axis, end_i=axis + 1), to_i=_FLOAT)
    scale = g.op("Div", present, g.op("Cast", wanted, to_i=_FLOAT))
    count = g.op("Squeeze", wanted, _constant(g, [0]))
    steps = g.op("Range", _constant(g, 0), count, _constant(g, 1))
    found = g.op("Floor", g.op("Mul", g.op("Cast", steps, to_i=_FLOAT), scale))
    last = g.op("Sub", present, _constant(g, [1.0]))
    return g.op("Cast", g.op("Min", found, last), to_i=_INT64)


def _constant(g: Any, value: float | list[int] | list[float]) -> Any:
    return g.op("Constant", value_t=torch.tensor(value))


class _Activation(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _Activate.apply(x)


def _conv(before: int, after: int, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return nn.Sequential(conv, _Activation())


def _shuffle(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, 4 * after, kernel=1), nn.PixelShuffle(2))


class _Merge(nn.Module):
    """One step up fastai's decoder: (n, `before`, y/2, x/2) and a skip -> (n, `after`, y, x)."""

    def __init__(self, before: int, skip: int, *, last: bool) -> None:
        super().__init__()
        width = before // 2 + skip
        self.after = width // 2 if last else width
        self.shuf = _shuffle(before, before // 2)
        self.bn = nn.BatchNorm2d(skip)
        self.conv1 = _conv(width, self.after)
        self.conv2 = _conv(self.after, self.after)
        self.relu = _Activation()

    def forward(self, x: Tensor, skip: Tensor, *, exact: bool) -> Tensor:
        x = _fit(self.shuf(x), skip, exact=exact)
        return self.conv2(self.conv1(self.relu(torch.cat([x, self.bn(skip)], dim=1))))


class _Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1))
        self.convpath = nn.Sequential(_conv(width, width), second)
        self.act = _Activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.convpath(x) + x)


def _fit(x: Tensor, like: Tensor, *, exact: bool) -> Tensor:
    """Resize to the nearest pixel.

    Where each level has half the pixels of the one above, rounded up (`exact`), that is no more
    than to cut the row or column too many.
    """
    return _Crop.apply(x, like) if exact else _Nearest.apply(x, like, 1)


def _halves(stages: list[dict[str, Any]]) -> bool:
    """Tell whether an encoder halves at every stage, with padding, as regnet does.

    The others begin with patches of 4 x 4 pixels and drop what does not fill one.
    """
    return bool(stages[0]["reduction"] == 2)  # noqa: PLR2004


class DynamicUnet(nn.Module):
    """fastai's U-Net. A skip goes out of each child of the encoder that the next one shrinks."""

    def __init__(self, encoder: str, bands: int, classes: int) -> None:
        super().__init__()
        trunk = timm.create_model(encoder, pretrained=False, in_chans=bands)
        stages = list(trunk.feature_info)
        self.exact = _halves(stages)
        widths = [stage["num_chs"] for stage in stages]
        skips = widths[-2::-1] if self.exact else widths[:1]
        merges = list(_merges(widths[-1], skips))
        self.layers = nn.ModuleList([*_bottom(trunk, widths[-1]), *merges])
        self.layers.extend(_top(merges[-1].after, bands, classes))
        self.merges = len(skips)

    def forward(self, image: Tensor) -> Tensor:
        """Give logits (n, class, y, x) of a normalised image (n, band, y, x)."""
        x, skips = self._encode(image)
        for layer in self.layers[1:4]:
            x = layer(x)
        for layer, skip in zip(self.layers[4 : 4 + self.merges], reversed(skips), strict=True):
            x = layer(x, skip, exact=self.exact)
        shuffle, _resize, _join, residual, head = self.layers[4 + self.merges :]
        x = _fit(shuffle(x), image, exact=self.exact)
        return head(residual(torch.cat([x, image], dim=1)))

    def _encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for number, child in enumerate(self.layers[0]):
            x = child(x)
            if number < self.merges:
                skips.append(x)
        return x, skips


def _bottom(trunk: nn.Module, width: int) -> list[nn.Module]:
    """Make the encoder without its classifier, and what comes after it."""
    encoder = nn.Sequential(*list(trunk.children())[:-1])
    middle = nn.Sequential(_conv(width, 2 * width), _conv(2 * width, width))
    return [encoder, nn.BatchNorm2d(width), nn.ReLU(), middle]


def _merges(width: int, skips: list[int]) -> list[_Merge]:
    merges = []
    for number, skip in enumerate(skips, start=1):
        merges.append(_Merge(width, skip, last=number == len(skips)))
        width = merges[-1].after
    return merges


def _top(width: int, bands: int, classes: int) -> list[nn.Module]:
    """Make the layers at full resolution.

    fastai resizes and joins in layers of their own: the empty ones keep the numbers of the others.
    """
    wide = width + bands
    head = nn.Sequential(nn.Conv2d(wide, classes, 1))
    return [_shuffle(width, width), nn.Identity(), nn.Identity(), _Residual(wide), head]


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = _conv_norm(before, after)
        self.conv2 = _conv_norm(after, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


def _conv_norm(before: int, after: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


class Unet(nn.Module):
    """The U-Net of segmentation_models_pytorch on a timm encoder ("tu-...").

    The encoder has as many stages as the decoder has blocks, one of which brings back its stem's
    or, where a stage begins with patches, two.
    """

    def __init__(
        self, encoder: str, bands: int, classes: int, widths: tuple[int, ...] = DECODER_WIDTHS
    ) -> None:
        super().__init__()
        trunk = _trunk(encoder, bands, len(widths))
        self.exact = _halves(list(trunk.feature_info.info))
        found = trunk.feature_info.channels()[::-1]
        skips = [*found[1:], 0] if self.exact else [*found[1:], 0, 0]
        pairs = pairwise((found[0], *widths))
        blocks = [_Block(a + skip, b) for (a, b), skip in zip(pairs, skips, strict=True)]
        self.encoder = nn.ModuleDict({"model": trunk})
        self.decoder = nn.ModuleDict({"blocks": nn.ModuleList(blocks)})
        head = nn.Conv2d(widths[-1], classes, 3, padding=1)
        self.segmentation_head = nn.Sequential(head)

    def forward(self, image: Tensor) -> Tensor:
        """Give logits (n, class, y, x) of a normalised image (n, band, y, x)."""
        x, *skips = reversed(self.encoder["model"](image))
        blocks = self.decoder["blocks"]
        for number, block in enumerate(blocks):
            if number < len(skips):
                x = torch.cat([self._double(x, skips[number]), skips[number]], dim=1)
            else:
                x = self._double(x, image, 2 ** (len(blocks) - 1 - number))
            x = block(x)
        return self.segmentation_head(x)

    def _double(self, x: Tensor, like: Tensor, divisor: int = 1) -> Tensor:
        if not self.exact:
            return _Nearest.apply(x, like, divisor)
        return _Crop.apply(functional.interpolate(x, scale_factor=2.0, mode="nearest"), like)


def _trunk(encoder: str, bands: int, stages: int) -> nn.Module:
    """Make an encoder of the first stages: those that halve `stages` times."""
    whole = timm.create_model(encoder, pretrained=False, in_chans=bands, features_only=True)
    reductions = [stage["reduction"] for stage in whole.feature_info.info]
    kept = tuple(n for n, reduction in enumerate(reductions) if reduction <= 2**stages)
    if len(kept) == len(reductions):
        return whole
    return timm.create_model(
        encoder, pretrained=False, in_chans=bands, features_only=True, out_indices=kept
    )
