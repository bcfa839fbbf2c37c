"""Run every command that works on files, as an installed `pose`, on the first images of the demo video.

    python scripts/check_without_ros.py FOLDER     with the Python of the environment that has pose-pipeline

What it makes stays in FOLDER. Exit code 1 and a sentence where a command fails or leaves nothing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import cv2

from pose_core import assets

VIDEO = "Demo_SinglePerson/videos/cam01.mp4"
FRAMES = 24
RATE = 60.0
BROUGHT_BY_OTHERS = ("ros-", "rclpy", "ament", "colcon", "torch", "onnx ")
"""Beginnings of what the distribution must not bring, as `pip list` shows it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the commands that need no ROS.")
    parser.add_argument("folder", type=Path, help="where everything is made; must not exist")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True)
    try:
        check(folder)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"all commands have worked; see {folder}")
    return 0


class Failed(Exception):
    """The sentence says what."""


def check(folder: Path) -> None:
    """Raises Failed."""
    pose("fetch", VIDEO)
    clip, out, files = folder / "walk.mp4", folder / "out", folder / "files"
    cut(assets.path(VIDEO), clip)
    pose("process", clip, "-o", out, "--min-seconds", 0)
    expect(out / "walk_final.trc", out / "bag" / "bag_0.mcap", out / "report.html", out / "overlay.webm")
    bag = out / "bag"
    pose("export", bag, "-o", files, "--to", "trc,c3d,mot,bvh,csv,npz", "--min-seconds", 0)
    (sequence, *_) = sorted(files.glob("*.npz")) or [files / "a person's .npz"]
    expect(sequence)
    pose("refine", sequence, folder / "refined.npz", "--offline")
    pose("plot", out, "-o", folder / "plots", "--joint", "right_knee")
    pose("view", out, "-o", folder / "page.html", "--no-open")
    pose("draw", bag, "-o", folder / "drawn.mp4", "--style", "grouped", "--with-3d")
    expect(folder / "refined.npz", folder / "plots", folder / "page.html", folder / "drawn.mp4")
    pose("doctor", "--no-graph")
    refused = run("live")
    if refused.returncode != 1 or "pose live needs ROS 2" not in refused.stderr:
        raise Failed(f"pose live must say that it needs ROS 2, and said: {refused.stderr}")
    listed = subprocess.run([sys.executable, "-m", "pip", "list"], capture_output=True, text=True, check=True)
    if brought := [line for line in listed.stdout.lower().splitlines() if line.startswith(BROUGHT_BY_OTHERS)]:
        raise Failed(f"pose-pipeline must not bring {', '.join(brought)}")


def cut(video: Path, clip: Path) -> None:
    """Write the first images of a video."""
    reader = cv2.VideoCapture(str(video))
    size = (
        int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    )
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), RATE, size)
    for _ in range(FRAMES):
        there, image = reader.read()
        if not there:
            raise Failed(f"{video} has fewer than {FRAMES} images")
        writer.write(image)
    writer.release()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = shutil.which("pose", path=str(Path(sys.executable).parent))
    if command is None:
        raise Failed(f"there is no command pose beside {sys.executable}")
    return subprocess.run(
        [command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def pose(*arguments: object) -> None:
    """Raises Failed where the command does."""
    done = run(*arguments)
    if done.returncode:
        raise Failed(f"pose {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}")


def expect(*made: Path) -> None:
    """Raises Failed for what is not there."""
    if lacking := [str(path) for path in made if not path.exists()]:
        raise Failed(f"{', '.join(lacking)} was not made")


if __name__ == "__main__":
    sys.exit(main())
