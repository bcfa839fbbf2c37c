"""Single images and folders of them with people drawn: each image is looked at by itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose2d_node.detection import BadImage
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import IMAGE_SUFFIXES, LARGEST_IMAGE, VIDEO_ORIGIN_NS, natural_order
from pose_core.callbacks import Progress, Say
from pose_core.files import write_whole
from pose_core.reading import picture
from pose_core.units import NS_PER_S
from pose_tools.files.painter import Painter, Painting, open_estimator

MOST_NAMED = 3
"""Files that are named where some cannot be read."""


@dataclass
class _Studio:
    """Looks at images that have nothing to do with one another, and draws on them."""

    painter: Painter
    estimator: Pose2DEstimator
    apart: int
    """ns between two images after which the detector starts anew."""
    looked: int = 0
    several: int = 0
    """Files that hold more than the one image that was drawn on."""

    def draw(self, source: Path, out: Path, *, transparent: bool) -> int:
        """Write the picture of an image; how many people are in it. Raises ValueError for an image that cannot be used."""
        content = _content(source)
        bgr = picture.decode(content, upright=True, used_depth=True)
        self.several += picture.holds_several(content)
        self.looked += 1
        stamp = VIDEO_ORIGIN_NS + self.looked * self.apart
        found = self.estimator.process(stamp, bgr, Pose2DParams.frame_id)
        count = len(found.people.people)
        if not count and not transparent and _same_kind(source, out):
            write_whole(out, content)
            return 0
        if not count and not transparent:
            painted = bgr
        else:
            self.painter.forget()
            painted = self.painter.paint(bgr, found.people, found.world)
        write_whole(out, _encoded(painted, out))
        return count

    def said(self) -> list[str]:
        """What there is to say about what was drawn."""
        first = (
            f"{self.several} files are animated or have several pages; the first image of each was drawn on"
        )
        return [*([first] if self.several else []), *self.painter.said()]


def draw_image(source: Path, out: Path, painting: Painting, params: Pose2DParams, say: Say) -> dict[str, Any]:
    """Draw on one image. Raises ValueError where it cannot be used, OSError where the picture cannot be written."""
    _expect_parent(out)
    with _studio(painting, params) as studio:
        try:
            people = studio.draw(source, out, transparent=painting.transparent)
        except (picture.DamagedImage, BadImage) as error:
            raise ValueError(f"{source} cannot be drawn on: {error}") from error
        if not people:
            say(f"nobody was found in {source.name}; the image is as it was")
        for sentence in studio.said():
            say(sentence)
    return {"images": 1, "people": people}


def draw_folder(
    source: Path, out: Path, painting: Painting, params: Pose2DParams, progress: Progress, say: Say
) -> dict[str, Any]:
    """Draw on the images of a folder; each picture has the name of its image.

    Raises ValueError where none can be used, OSError where pictures cannot be written.
    """
    _expect_parent(out)
    files = sorted((f for f in source.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES), key=natural_order)
    if not files:
        raise ValueError(f"{source} holds no images; it needs files that end in {', '.join(IMAGE_SUFFIXES)}")
    names = _names(files, transparent=painting.transparent)
    unusable: list[str] = []
    people = nobody = 0
    with _folder(out) as folder, _studio(painting, params) as studio:
        for number, file in enumerate(files, 1):
            try:
                count = studio.draw(file, folder / names[file], transparent=painting.transparent)
                people += count
                nobody += not count
            except (picture.DamagedImage, BadImage):
                unusable.append(file.name)
            progress(number, len(files))
        if len(unusable) == len(files):
            raise ValueError(
                f"{source} holds {len(files)} images, none of which can be used; check the files"
            )
        said = studio.said()
    if unusable:
        more = f" and {len(unusable) - MOST_NAMED} more" if len(unusable) > MOST_NAMED else ""
        say(f"left out, because they cannot be read: {', '.join(unusable[:MOST_NAMED])}{more}")
    if nobody:
        say(f"nobody was found in {nobody} of {len(files)} images; they are as they were")
    for sentence in said:
        say(sentence)
    return {
        "images": len(files) - len(unusable),
        "people": people,
        "nobody": nobody,
        "left_out": len(unusable),
    }


@contextmanager
def _studio(painting: Painting, params: Pose2DParams) -> Iterator[_Studio]:
    painter = Painter(painting, params.calibration)
    with closing(open_estimator(params)) as estimator:
        yield _Studio(painter, estimator, round((params.max_frame_gap + 1.0) * NS_PER_S))


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """Where pictures go: a new folder gets its name when all are there; one that is there gets them one by one."""
    if out.is_dir() and any(out.iterdir()):
        yield out
        return
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if out.is_dir():
            out.rmdir()
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    """The process's umask, which mkdtemp ignores; reading it means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _names(files: list[Path], *, transparent: bool) -> dict[Path, str]:
    """Of each image's picture; a transparent one is a PNG, and two must not have one name."""
    if not transparent:
        return {file: file.name for file in files}
    stems = [file.stem for file in files]
    return {
        file: f"{file.stem if stems.count(file.stem) == 1 else file.name.replace('.', '_')}.png"
        for file in files
    }


def _content(source: Path) -> bytes:
    if source.stat().st_size > LARGEST_IMAGE:
        raise picture.DamagedImage(f"image has more than {LARGEST_IMAGE} bytes")
    return source.read_bytes()


def _same_kind(source: Path, out: Path) -> bool:
    jpeg, tiff = (".jpg", ".jpeg"), (".tif", ".tiff")
    one, other = source.suffix.lower(), out.suffix.lower()
    return one == other or any(one in kind and other in kind for kind in (jpeg, tiff))


def _encoded(painted: np.ndarray, out: Path) -> bytes:
    """The bytes of a picture in the format that its name says."""
    good, content = cv2.imencode(out.suffix.lower(), painted)
    if not good:
        raise OSError(f"the image {out} could not be written; name another kind, such as .png")
    return content.tobytes()


def _expect_parent(out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise ValueError(f"there is no folder {out.parent}; make it first, or name another one with -o")
