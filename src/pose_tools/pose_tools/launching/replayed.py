"""What a launch replays of a bag: found in the bag before anything starts.

`ros2 launch` runs in the Python of ROS, which has nothing to read bags with: `pose play --describe` reads it, in ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_core.config import Value
from pose_core.system.exits import WRONG_CONFIGURATION, Failed, WrongConfiguration
from pose_tools.launching.given import RECORDER, Given


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
    def of(cls, given: Given, pose: str) -> Replayed:
        """`pose`: path of our command. Raises WrongConfiguration, or Failed where the bag lacks what is to be replayed."""
        images, arguments = given.says("images"), given.arguments
        if given.values.get("pose2d") and not images:
            raise WrongConfiguration(
                "pose2d looks at images; add images:=true, or leave what is stated for it out"
            )
        _expect_rate(arguments["rate"])
        transport = str(given.values.get("pose2d", {}).get("image_transport", ""))
        stated = {name: arguments[name] for name in ("namespace", "image_topic", "camera_info")}
        choice = ["play", arguments["bag"]]
        for name, value in {**stated, "transport": transport}.items():
            choice += [f"--{name.replace('_', '-')}", value] if value else []
        choice += ["--images"] if images else []
        otherwise = json.dumps({"by_file": given.by_file, "said": given.values})
        found = describe(pose, [*choice, "--describe", otherwise])
        for warning in found["warnings"]:
            print(warning, file=sys.stderr, flush=True)
        words = [*choice, "--rate", arguments["rate"], *(["--wait-for", RECORDER] if given.record else [])]
        words += [] if found["subjects"] else ["--no-subjects"]
        return cls(Path(arguments["bag"]), images, found["namespace"], found["values"], words)

    def of_stage(self, name: str) -> dict[str, Value]:
        """Parameters of a stage: its time comes from the bag."""
        return {**self.values.get(name, {}), "use_sim_time": True}


def describe(pose: str, words: list[str]) -> Any:
    """What `pose` says of a bag. Raises WrongConfiguration or Failed with its own sentence."""
    done = subprocess.run([pose, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("pose: ")]
        sentence = said[-1].removeprefix("pose: ") if said else done.stderr.strip()
        raise (WrongConfiguration if done.returncode == WRONG_CONFIGURATION else Failed)(sentence)
    return json.loads(done.stdout)


def _expect_rate(text: str) -> None:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1000.0:
        raise WrongConfiguration(f"rate must be a number from 0 to 1000, got '{text}'")
