"""`pose demo`: a real video through the live graph; everything that a first look wants is left in one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lift3d_node.params import STATED
from pose_core import assets
from pose_core.callbacks import Progress
from pose_core.geometry.calibration import CalibratedCamera, read_qualisys, write_camera_yaml
from pose_core.geometry.camera import Camera
from pose_core.markers import tilt_of
from pose_core.people import People3D
from pose_core.system.exits import Failed
from pose_core.units import NS_PER_S
from pose_ros import frames, topics
from pose_ros.conversions import people3d_from_msg
from pose_tools.bag.reader import read
from pose_tools.graph.graph import STAGES, Bundle, Setup
from pose_tools.graph.live import Run, run
from pose_tools.graph.workspace import config_file
from pose_tools.parameters.chosen import Values, params_of
from pose_tools.result_folder import BAG, OVERLAY, SUMMARY
from pose_viz import overlay
from pose_viz.figures import plots
from pose_viz.params import VizParams
from pose_viz.video import OverlayVideo

CLIP = "Demo_SinglePerson"
CAMERA_NUMBER = 1
VIDEO = f"{CLIP}/videos/cam{CAMERA_NUMBER:02d}.mp4"
VIDEO_SIZE = (1080, 1920)
CALIBRATION = f"{CLIP}/calibration/Calib.qca.txt"

FIGURE, SHEET, COMPARED = "skeleton.png", "overlay.png", "compared.png"
SHEET_IMAGES = 8


def demo(out: Path, max_frames: int, progress: Progress, chosen: Values | None = None) -> dict[str, Any]:
    """Run the demo video and leave bag, overlay video, pictures and summary in `out`. Returns the summary.

    `chosen`: parameters by stage, beside those that the demo states. The folder appears when it is complete; an earlier demo
    there is replaced. Raises ValueError where `out` holds anything else.
    """
    if out.exists() and any(out.iterdir()) and not (out / SUMMARY).is_file():
        raise ValueError(f"{out} holds other files; choose an empty folder with --out")
    work = out.with_name(f".{out.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    video, _ = assets.fetch([VIDEO, CALIBRATION])
    assets.fetch(["pose_landmarker_full.task"])
    camera = demo_camera()
    pitch, roll = demo_tilt()
    write_camera_yaml(work / "camera.yaml", camera, Path(VIDEO).stem)
    pictures = Pictures(work, camera, params_of("viz", chosen or {}))
    own: Values = {
        "pose2d": {
            "source": str(video),
            "calibration": str(work / "camera.yaml"),
            "real_time": False,
        },
        "lift3d": {
            "camera_tilt": STATED,
            "camera_pitch_deg": pitch,
            "camera_roll_deg": roll,
        },
    }
    total = max_frames or frame_count(video)
    job = Run(
        Setup(
            private=True,
            params_file=config_file("live.yaml"),
            overrides={stage: own.get(stage, {}) | (chosen or {}).get(stage, {}) for stage in STAGES},
        ),
        record=work / BAG,
        max_frames=max_frames,
        observers=[pictures],
        progress=lambda done: progress(done, total),
    )
    try:
        result = {"video": VIDEO, **run(job)}
    finally:
        pictures.close()
    if result["interrupted"] or "failure" in result:
        shutil.rmtree(work)
        raise Failed(result.get("failure") or "the demo was interrupted; run it again")
    pictures.draw()
    plots.save(comparison(work / BAG, str(result["lifter"])), work / COMPARED)
    result["files"] = {name: str(out / name) for name in (BAG, OVERLAY, FIGURE, SHEET, COMPARED)}
    (work / SUMMARY).write_text(json.dumps(result, indent=2) + "\n")
    if out.exists():
        shutil.rmtree(out)
    work.replace(out)
    return result


def comparison(recorded: Path, lifter: str) -> Figure:
    """The detector's own 3D and what `lifter` made of the same keypoints, from a bag."""
    people: dict[str, list[People3D]] = {topics.WORLD: [], topics.LIFTED: []}
    for message in read(recorded, [f"/{topic}" for topic in people]):
        people[message.topic.removeprefix("/")].append(people3d_from_msg(message.decode()))
    named = {"MediaPipe's own 3D": people[topics.WORLD], lifter: people[topics.LIFTED]}
    return plots.comparison_figure(named, title=f"{Path(VIDEO).stem}: the detector's own 3D and the lifter's")


def demo_camera() -> Camera:
    """The calibrated camera of the demo video. Raises FileNotFoundError where the assets were not fetched.

    The sensor has 1088 x 1920 pixels; this video was shrunk to 1080 x 1920 with black bars above and below.
    """
    return _calibrated().camera.letterboxed(*VIDEO_SIZE)


def demo_tilt() -> tuple[float, float]:
    """Pitch and roll of that camera in degrees."""
    return tilt_of(_calibrated().up)


def _calibrated() -> CalibratedCamera:
    return read_qualisys(assets.path(CALIBRATION))[CAMERA_NUMBER - 1]


def frame_count(video: Path) -> int | None:
    """Frames that a video file announces; None where it does not say."""
    import cv2

    capture = cv2.VideoCapture(str(video))
    try:
        return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0) or None
    finally:
        capture.release()


class Pictures:
    """An observer that draws every frame into the overlay video and keeps what the figures need."""

    def __init__(self, folder: Path, camera: Camera, params: VizParams) -> None:
        self._folder = folder
        self._camera = camera
        self._params = params
        self._video = OverlayVideo(folder / OVERLAY)
        self._bundles: list[Bundle] = []
        self._small: list[np.ndarray] = []

    def __call__(self, bundle: Bundle) -> None:
        """Draw one frame. The image is that of the same process; one that is gone already is left out."""
        self._bundles.append(bundle)
        image = frames.get(f"/{topics.IMAGE}", bundle.stamp)
        if image is None:
            return
        drawn = overlay.draw(image, bundle.people2d, bundle.refined, self._camera, self._params)
        self._video.write(drawn, bundle.stamp)
        self._small.append(overlay.resized(drawn, 480))

    def close(self) -> None:
        """Finish the video file."""
        self._video.close()

    def draw(self) -> None:
        """Write the figure of the 3D skeleton and the contact sheet."""
        import cv2

        figure = plots.skeleton_figure(
            [bundle.refined for bundle in self._bundles],
            [bundle.people2d for bundle in self._bundles],
            self._camera,
            title=f"{Path(VIDEO).stem}: 3D skeleton over time, one camera",
        )
        plots.save(figure, self._folder / FIGURE)
        chosen = plots.evenly(np.arange(len(self._small)), SHEET_IMAGES)
        if len(chosen):
            start = self._bundles[0].stamp
            captions = [f"{(self._bundles[i].stamp - start) / NS_PER_S:.2f} s" for i in chosen]
            cv2.imwrite(
                str(self._folder / SHEET), plots.contact_sheet([self._small[i] for i in chosen], captions)
            )
