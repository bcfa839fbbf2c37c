"""Draw the pictures of docs/drawing.md anew, from images of the demo videos, by the code of `pose draw`.

make gallery
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from pose_core import assets
from pose_core.callbacks import no_progress
from pose_core.files import write_whole
from pose_tools.files.draw import DrawJob, draw

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "drawing"
WIDTH = 600
"""Pixels of a picture, and of the image that is drawn on: so small are letters and lines of the page sharp."""
QUALITY = 82
MOST_BYTES = 1_000_000
"""Of all pictures together."""


class Scene(NamedTuple):
    """An image of a demo video, and the part of it that is shown."""

    video: str
    frame: int
    rows: slice
    columns: slice


ONE = Scene("Demo_SinglePerson/videos/cam01.mp4", 45, slice(240, 1240), slice(0, 1080))
TALL = ONE._replace(rows=slice(240, 1740))
TWO = Scene("Demo_MultiPerson/videos/cam01.mp4", 50, slice(180, 1300), slice(0, 1080))

PICTURES: dict[str, tuple[Scene, dict[str, Any]]] = {
    "plain": (ONE, {"style": "plain"}),
    "masks": (TWO, {"style": "masks"}),
    "named": (ONE, {"style": "named"}),
    "named_coco17": (ONE, {"style": "named", "skeleton": "coco17"}),
    "legend": (ONE, {"style": "legend", "skeleton": "coco17"}),
    "grouped": (ONE, {"style": "grouped"}),
    "grouped_filled": (TWO, {"style": "grouped-filled"}),
    "flat": (ONE, {"style": "flat"}),
    "sides": (TWO, {"style": "sides"}),
    "mpi_inf28": (TALL, {"style": "legend", "skeleton": "mpi_inf28"}),
    "h36m17": (ONE, {"style": "grouped", "skeleton": "h36m17"}),
    "with_3d": (ONE, {"style": "sides", "with_3d": True}),
    "transparent": (ONE, {"style": "grouped", "transparent": True, "legend": False}),
}
"""By name of the file."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/drawing.md.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help=f"default: {FOLDER}")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pose-gallery-") as scratch:
        total = sum(_make(name, folder, Path(scratch)) for name in PICTURES)
    print(f"{len(PICTURES)} pictures, {total // 1000} kB, in {folder}")
    if total > MOST_BYTES:
        print(f"together they must have at most {MOST_BYTES // 1000} kB; make WIDTH smaller", file=sys.stderr)
        return 1
    return 0


def _make(name: str, folder: Path, scratch: Path) -> int:
    """Write one picture; its bytes."""
    scene, options = PICTURES[name]
    source, drawn = scratch / f"{name}_in.png", scratch / f"{name}.png"
    cv2.imwrite(str(source), image_of(scene))
    draw(DrawJob(source, drawn, **options), no_progress, lambda sentence: print(f"{name}: {sentence}"))
    if options.get("transparent"):
        content = drawn.read_bytes()
        file = folder / f"{name}.png"
    else:
        picture = cv2.imread(str(drawn))
        good, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        assert good
        content, file = encoded.tobytes(), folder / f"{name}.jpg"
    write_whole(file, content)
    return len(content)


def image_of(scene: Scene) -> np.ndarray:
    """(H, WIDTH, 3) uint8 BGR."""
    capture = cv2.VideoCapture(str(assets.path(scene.video)))
    for _ in range(scene.frame):
        capture.grab()
    good, bgr = capture.retrieve()
    capture.release()
    assert good
    part = bgr[scene.rows, scene.columns]
    height = round(WIDTH * part.shape[0] / part.shape[1] / 2) * 2
    return cv2.resize(part, (WIDTH, height), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    sys.exit(main())
