"""What was given to a launch file, in Python's terms, checked before anything starts.

`ros2 launch` runs in the Python of ROS, which has none of our packages from PyPI: nothing here may import one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pose2d_node.params import is_camera
from pose_core.config import Value
from pose_core.system.exits import WrongConfiguration, refusing
from pose_ros import topics
from pose_tools.parameters.chosen import Values, of_file, params_of
from pose_tools.parameters.launching import as_sets, flag, stated
from pose_tools.parameters.options import LIVE_LAUNCH
from pose_tools.result_folder import expect_free

RECORDER = "pose_recorder"
"""Node that a source waits for; `pose_ros.listeners` says so to nodes, and this is read where there is no rclpy."""


@dataclass(frozen=True)
class Given:
    """Arguments of a launch: all by name, defaults among them, and what they state for the stages."""

    place: str
    arguments: Mapping[str, str]
    values: Values
    """By stage, what was said; defaults of arguments are not among it."""
    by_file: Values
    """By stage, what the parameter file says."""

    @classmethod
    def read(cls, place: str, said: Mapping[str, str], arguments: Mapping[str, str]) -> Given:
        """`said`: without defaults. Raises WrongConfiguration, or FileExistsError for a bag that cannot be recorded."""
        with refusing():
            by_file = of_file(Path(arguments["params"]))  # names the first thing wrong with it
            given = cls(place, arguments, stated(place, said), by_file)
            for name in ("record_images", "rviz", "composed", "images"):
                if name in arguments:
                    flag(name, arguments[name])
        if given.record:
            expect_free(Path(given.record))
        elif given.says("record_images"):
            raise WrongConfiguration("record_images:=true records nothing without record:=FOLDER")
        return given

    def says(self, name: str) -> bool:
        """Whether an argument that is true or false is true."""
        return flag(name, self.arguments[name])

    @property
    def record(self) -> str:
        """Folder of the bag to record; empty: none."""
        return self.arguments["record"]

    @property
    def has_source(self) -> bool:
        """Whether pose2d opens a camera or recording itself, and publishes its images."""
        return self.place == LIVE_LAUNCH and bool(params_of("pose2d", self.by_file, self.values).source)

    @property
    def is_lossless(self) -> bool:
        """Whether a recording is taken as fast as the stages allow: then none of them skips an image."""
        pose2d = params_of("pose2d", self.by_file, self.values)
        return self.has_source and not pose2d.real_time and not is_camera(pose2d.source)

    @property
    def fixed_frame(self) -> str:
        """The frame that RViz looks from: that of the camera, where nobody says another."""
        return self.arguments["fixed_frame"] or str(params_of("pose2d", self.by_file, self.values).frame_id)

    @property
    def recorder_words(self) -> list[str]:
        """How the recorder is told what to record: the images of a driver come as pose2d takes them, our own compressed."""
        words = ["record", self.record]
        if self.says("record_images"):
            taken = params_of("pose2d", self.by_file, self.values).image_transport
            transport = "compressed" if self.has_source else taken
            words += ["--images", "--set", f"record.image_transport={transport}"]
        return words

    @property
    def listeners(self) -> str:
        """Nodes that the first image of a source waits for."""
        return " ".join(["lift3d", "refine", *([RECORDER] if self.record else [])])

    def composed_words(self, waits: bool) -> list[str]:
        """How `pose` is told to run all stages in one process; `waits`: for `listeners`.

        `pose live` takes a recording as fast as it can, where it is not told otherwise.
        """
        own: dict[str, Value] = {"real_time": params_of("pose2d", self.by_file, self.values).real_time}
        own |= {"wait_for": self.listeners} if waits else {}
        values = {**self.values, "pose2d": {**own, **self.values.get("pose2d", {})}}
        sets = [word for value in as_sets(values) for word in ("--set", value)]
        return ["live", "--stay", "--params", self.arguments["params"], *sets]

    def remappings(self) -> list[tuple[str, str]]:
        """From the names of the pipeline, the same for every node; a replay sends under those names whatever the bag has."""
        if self.place != LIVE_LAUNCH:
            return []
        image, camera = self.arguments["image_topic"], self.arguments["camera_info"]
        return [
            (topics.IMAGE, image),
            (topics.IMAGE_COMPRESSED, f"{image}/compressed"),
            (topics.CAMERA_INFO, camera),
        ]
