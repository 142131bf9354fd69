"""Run s2cloudless for another process; needs s2cloudless and numpy, nothing of ours.

    python s2cloudless_worker.py AVERAGE DILATION THRESHOLD

A message is 8 bytes, a length (little-endian), and so many bytes of an .npy file. The first one
goes out: the version of s2cloudless, as text. Then each image that comes in, (band, y, x) float32
reflectance, the ten bands that s2cloudless takes in its order, is answered by its mask (y, x)
uint8, 1 = cloud. It ends with its standard input.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def detector(average: int, dilation: int, threshold: float) -> Any:
    """Open s2cloudless; a size in pixels of 0 leaves the step out."""
    return import_module("s2cloudless").S2PixelCloudDetector(
        threshold=threshold,
        average_over=average or None,
        dilation_size=dilation or None,
        all_bands=False,
    )


def mask(opened: Any, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Make the mask (y, x), 1 = cloud, of (band, y, x)."""
    found = opened.get_cloud_masks(np.moveaxis(image, 0, -1)[None])
    return np.asarray(found[0], np.uint8)


def send(stream: IO[bytes], array: NDArray[Any]) -> None:
    """Send an array."""
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    stream.write(len(held.getvalue()).to_bytes(8, "little") + held.getvalue())
    stream.flush()


def receive(stream: IO[bytes]) -> NDArray[Any] | None:
    """Receive an array; None at the end of the stream."""
    head = stream.read(8)
    size = int.from_bytes(head, "little")
    body = stream.read(size)
    if len(head) < 8 or len(body) < size:  # noqa: PLR2004 - bytes of a length
        return None
    return np.asarray(np.load(io.BytesIO(body), allow_pickle=False))


def main(words: list[str]) -> None:
    """Answer until there is nothing more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    opened = detector(int(words[0]), int(words[1]), float(words[2]))
    send(answers, np.array(version("s2cloudless")))
    while (image := receive(sys.stdin.buffer)) is not None:
        send(answers, mask(opened, image))


if __name__ == "__main__":
    main(sys.argv[1:])
