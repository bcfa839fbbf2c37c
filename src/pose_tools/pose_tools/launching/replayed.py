"""What a launch replays of a bag: found in the bag before anything starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pose_core.config import Value
from pose_core.system.exits import WrongConfiguration
from pose_tools.bag.namespaces import input_of
from pose_tools.launching.given import RECORDER, Given
from pose_tools.parameters.of_bag import recorded_values, seen_again


@dataclass(frozen=True)
class Replayed:
    """Which bag, and what of it."""

    bag: Path
    images: bool
    namespace: str
    """Of the robot in the bag, in which the stages work again."""
    values: dict[str, dict[str, Value]]
    """Parameters by stage, of what the bag states and nobody has stated otherwise, and of the detector for images."""
    words: list[str]
    """How `pose` is told to play it."""

    @classmethod
    def of(cls, given: Given) -> Replayed:
        """Raises WrongConfiguration, FileNotFoundError, or ValueError where the bag lacks what is to be replayed."""
        images, arguments = given.says("images"), given.arguments
        if given.values.get("pose2d") and not images:
            raise WrongConfiguration(
                "pose2d looks at images; add images:=true, or leave what is stated for it out"
            )
        _expect_rate(arguments["rate"])
        bag = Path(arguments["bag"])
        found = input_of(
            bag,
            images=images,
            namespace=arguments["namespace"] or None,
            image_topic=arguments["image_topic"],
            camera_info=arguments["camera_info"],
            transport=str(given.values.get("pose2d", {}).get("image_transport", "")),
        )
        words = ["play", str(bag), "--rate", arguments["rate"], "--namespace", found.namespace]
        for option, name in (("--image-topic", "image_topic"), ("--camera-info", "camera_info")):
            words += [option, arguments[name]] if arguments[name] else []
        words += ["--images", "--transport", found.transport] if images else []
        words += ["--wait-for", RECORDER] if given.record else []
        said = given.by_file, given.values
        _, values = recorded_values(bag, found.namespace, said, _warn)
        words += ["--no-subjects"] if any("height" in layer.get("lift3d", {}) for layer in said) else []
        if images:
            values["pose2d"] = {**seen_again(given.by_file), **found.detecting}
        return cls(bag, images, found.namespace, values, words)

    def of_stage(self, name: str) -> dict[str, Value]:
        """Parameters of a stage: its time comes from the bag."""
        return {**self.values.get(name, {}), "use_sim_time": True}


def _warn(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _expect_rate(text: str) -> None:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1000.0:
        raise WrongConfiguration(f"rate must be a number from 0 to 1000, got '{text}'")
