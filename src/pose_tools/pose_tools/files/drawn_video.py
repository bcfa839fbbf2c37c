"""Videos and bags with people drawn on every image; of a bag without images, the people on a plain ground."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose2d_node.detection import BadImage
from pose2d_node.params import Pose2DParams
from pose_core.callbacks import Progress, Say
from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D
from pose_tools.bag.files import is_bag
from pose_tools.files.painter import Painter, Painting, open_estimator
from pose_tools.process.footage import FolderFootage, Footage, Segment, VideoFootage
from pose_tools.process.overlay import ahead, expect_whole
from pose_tools.process.recorded import BagFootage, RecordedPeople, camera_of, open_bag
from pose_viz.video import OverlayVideo

GROUND = 56
"""Grey of the ground on which people of a bag without images are drawn."""


class _Scene(NamedTuple):
    """An image and the people in it."""

    bgr: np.ndarray
    people: People2D
    world: People3D | None


@dataclass
class _Scenes:
    """A recording, whose stamps increase."""

    length: int
    images: Generator[_Scene | None, None, None]
    """None for an image that cannot be used, or of which nobody knows who is in it."""
    camera: Camera | None = None


def draw_video(
    source: Path,
    out: Path,
    painting: Painting,
    params: Pose2DParams,
    progress: Progress,
    say: Say,
    namespace: str | None = None,
) -> dict[str, Any]:
    """Draw on all images of a recording. Raises ValueError where none can be used, OSError where the video cannot be written."""
    seen = left_out = most = 0
    shape = None
    with tempfile.TemporaryDirectory(prefix="pose-draw-") as scratch:
        scenes = _open(source, params, Path(scratch), say, namespace)
        painter = Painter(painting, params.calibration, scenes.camera)

        def finish(scene: _Scene) -> bool:
            """Draw and encode, behind the detection; False for an image of another size than the first."""
            nonlocal shape
            painted = painter.paint(*scene)
            shape = shape or painted.shape
            if painted.shape == shape:
                video.write(painted, scene.people.stamp)
            return painted.shape == shape

        with (
            OverlayVideo(out) as video,  # ends last: until then a thread may write to it
            ThreadPoolExecutor(1, "draw") as drawing,
            closing(scenes.images) as images,
        ):
            behind: Future[bool] | None = None
            for number, scene in enumerate(images, 1):
                if behind is not None:
                    left_out += not behind.result()
                    behind = None
                if scene is None:
                    left_out += 1
                else:
                    seen += bool(scene.people.people)
                    most = max(most, len(scene.people.people))
                    behind = drawing.submit(finish, scene)
                progress(number, max(scenes.length, number))
            if behind is not None:
                left_out += not behind.result()
    if not video.frames:
        raise ValueError(f"{source} holds no image that can be drawn on; check that it plays and is complete")
    expect_whole(out, video.frames)
    if not seen:
        say(f"nobody was found in {source.name}; the images are as they were")
    if left_out:
        say(
            f"{left_out} images were left out, because they are damaged, of another size, or without people who were recorded"
        )
    for sentence in painter.said():
        say(sentence)
    return {"images": video.frames, "with_people": seen, "most_people": most, "left_out": left_out}


def _open(source: Path, params: Pose2DParams, scratch: Path, say: Say, namespace: str | None) -> _Scenes:
    if source.is_dir() and not is_bag(source):
        folder = FolderFootage.open(source, params.image_rate_hz)
        return _Scenes(folder.length, _detected(folder, params))
    if not is_bag(source):
        footage = VideoFootage.open(source)
        return _Scenes(footage.length, _detected(footage, params))
    bag = open_bag(source, scratch / "recovered", say, namespace)
    camera = camera_of(bag)
    if not bag.has_people:
        recording = BagFootage.of(bag)
        return _Scenes(recording.length, _detected(recording, params), camera)
    people = RecordedPeople(bag)
    if bag.image_topic is None:
        return _Scenes(people.length, _on_ground(people), camera)
    recording = BagFootage.of(bag)
    return _Scenes(recording.length, _recorded(recording, people), camera)


def _whole(footage: Footage) -> Segment:
    return Segment(1, footage.start, None)


def _detected(footage: Footage, params: Pose2DParams) -> Generator[_Scene | None, None, None]:
    """People are looked for in each image."""
    with (
        closing(open_estimator(params)) as estimator,
        ThreadPoolExecutor(1, "read") as reading,
    ):
        for stamp, bgr, _ in ahead(reading, footage.images(_whole(footage))):
            try:
                found = None if bgr is None else estimator.process(stamp, bgr, footage.frame_id)
            except BadImage:
                found = None
            yield None if bgr is None or found is None else _Scene(bgr, found.people, found.world)


def _recorded(footage: Footage, recorded: RecordedPeople) -> Generator[_Scene | None, None, None]:
    """People are those that were recorded of each image."""
    people = recorded.images()
    now = next(people, None)
    last = -1
    for stamp, bgr, _ in footage.images(_whole(footage)):
        while now is not None and now.people.stamp < stamp:
            now = next(people, None)
        if bgr is None or now is None or now.people.stamp != stamp or stamp == last:
            yield None
            continue
        last = stamp
        yield _Scene(bgr, now.people, now.world)


def _on_ground(recorded: RecordedPeople) -> Generator[_Scene | None, None, None]:
    """People without images."""
    for seen in recorded.images():
        height, width = seen.people.height, seen.people.width
        yield _Scene(np.full((height, width, 3), GROUND, np.uint8), seen.people, seen.world)
