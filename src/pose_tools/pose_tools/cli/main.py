"""The `pose` command: what runs the graph. `cli_files` has what works on files, `cli_train` what learns and measures."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lift3d_node.params import STATED, TF, TILTS, Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core.assets import FetchFailed
from pose_tools.cli import files as cli_files
from pose_tools.cli import train as cli_train
from pose_tools.cli.files import StatedPitch, StatedRoll
from pose_tools.missing import said_of
from pose_tools.terminal import Bar, Json, say, show
from pose_viz.params import VizParams
from refine_node.params import RefineParams

POSE2D, LIFT3D, REFINE, VIZ = Pose2DParams(), Lift3DParams(), RefineParams(), VizParams()

app = typer.Typer(
    help="Real-time 3D human pose: run, record, replay and check the pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # with it, "[default: ...]" in a help text would be taken for markup and vanish
    context_settings={"help_option_names": ["-h", "--help"]},
)
ros_args: list[str] = []
"""What stood behind --ros-args: remappings and the like, handed to every node."""

Params = Annotated[
    Path | None,
    typer.Option("--params", help="parameter YAML [default: the one of the launch file]", exists=True),
]
CameraTilt = Annotated[
    str | None,
    typer.Option(
        help=f"what the lifter is told of the camera's tilt: {', '.join(TILTS)} [default: as the options below say]"
    ),
]
LevelFrame = Annotated[
    str | None,
    typer.Option(help="take the camera's tilt from tf, against this frame, whose z axis points up"),
]


@app.command()
def live(
    source: Annotated[
        str, typer.Option(help="camera index, video file or image folder; empty: the topic image_raw")
    ] = POSE2D.source,
    lifter: Annotated[str | None, typer.Option(help=f"lifting model [default: {LIFT3D.lifter}]")] = None,
    refiner: Annotated[str | None, typer.Option(help=f"refiner [default: {REFINE.refiner}]")] = None,
    height: Annotated[float | None, typer.Option(help="height of the person in metres")] = None,
    num_poses: Annotated[
        int | None, typer.Option(help=f"most people to track [default: {POSE2D.num_poses}]")
    ] = None,
    model: Annotated[str | None, typer.Option(help=f"MediaPipe model [default: {POSE2D.model}]")] = None,
    calibration: Annotated[str | None, typer.Option(help="camera calibration file")] = None,
    camera_tilt: CameraTilt = None,
    camera_pitch: StatedPitch = None,
    camera_roll: StatedRoll = None,
    level_frame: LevelFrame = None,
    record: Annotated[Path | None, typer.Option(help="folder of the bag to record")] = None,
    record_images: Annotated[bool, typer.Option(help="also record the compressed images")] = False,
    real_time: Annotated[
        bool, typer.Option(help="play a video at its own rate and drop what is too slow")
    ] = False,
    loop: Annotated[bool, typer.Option(help="start a video again at its end")] = False,
    max_frames: Annotated[int, typer.Option(help="stop after this many images; 0: all", min=0)] = 0,
    stay: Annotated[bool, typer.Option(help="keep the nodes up after the source has ended")] = False,
    params: Params = None,
    as_json: Json = False,
) -> None:
    """Run all stages in one process on a camera, video, image folder or image topic."""
    from pose_tools.graph.live import Run, run
    from pose_tools.graph.workspace import config_file

    chosen: dict[str, dict[str, Any]] = {
        "pose2d": {
            "source": source,
            "model": model,
            "num_poses": num_poses,
            "calibration": calibration,
            "real_time": real_time,
            "loop": loop,
        },
        "lift3d": {"lifter": lifter, "height": height},
        "refine": {"refiner": refiner},
    }
    _tilted(chosen, camera_tilt, camera_pitch, camera_roll, level_frame)
    setup = _setup(
        chosen, params or config_file("live.yaml"), is_live=real_time or source.isdigit() or not source
    )
    with Bar("live") as progress:
        job = Run(
            setup,
            record=record,
            record_images=record_images,
            max_frames=max_frames,
            stay=stay,
            progress=progress,
        )
        result = run(job)
    show(result, as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("out/demo"),
    max_frames: Annotated[int, typer.Option(help="stop after this many images; 0: all", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Run the demo video through the live graph: a bag, an overlay video, a picture of the 3D skeleton, a summary."""
    from pose_tools.graph.demo import demo as run_demo

    with Bar("demo") as progress:
        result = run_demo(out, max_frames, progress)
    show(result, as_json)


@app.command()
def replay(
    bag: Annotated[Path, typer.Argument(help="bag to replay")],
    record: Annotated[Path, typer.Option(help="folder of the bag with the new results")],
    images: Annotated[
        bool, typer.Option(help="detect again from the bag's images, not from its 2D people")
    ] = False,
    lifter: Annotated[str | None, typer.Option(help=f"lifting model [default: {LIFT3D.lifter}]")] = None,
    refiner: Annotated[str | None, typer.Option(help=f"refiner [default: {REFINE.refiner}]")] = None,
    height: Annotated[float | None, typer.Option(help="height of the person in metres")] = None,
    camera_tilt: CameraTilt = None,
    camera_pitch: StatedPitch = None,
    camera_roll: StatedRoll = None,
    level_frame: LevelFrame = None,
    params: Params = None,
    as_json: Json = False,
) -> None:
    """Send a bag through the stages again, image by image; the same bag gives the same bytes."""
    from pose_tools.graph.replay import replay as run_replay
    from pose_tools.graph.workspace import config_file

    chosen: dict[str, dict[str, Any]] = {
        "lift3d": {"lifter": lifter, "height": height},
        "refine": {"refiner": refiner},
    }
    _tilted(chosen, camera_tilt, camera_pitch, camera_roll, level_frame)
    setup = _setup(chosen, params or config_file("replay.yaml"), is_live=True)
    with Bar("replay") as progress:
        result = run_replay(bag, record, setup, images=images, progress=progress)
    show(result, as_json)


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="folder of the bag; must not exist")],
    images: Annotated[bool, typer.Option(help="also record the compressed images")] = False,
    as_json: Json = False,
) -> None:
    """Record the result topics of a running graph until interrupted."""
    from pose_tools.graph.live import record as run_record

    show(run_record(out, images=images, ros_args=tuple(ros_args)), as_json)


@app.command()
def doctor(
    cameras: Annotated[bool, typer.Option(help="open each camera as well")] = False,
    graph: Annotated[bool, typer.Option(help="look at the running ROS graph")] = True,
    as_json: Json = False,
) -> None:
    """Check the installation, the models, cameras and the running graph; print a remedy for each failure."""
    from pose_tools.doctor.report import report_and_exit_code

    raise typer.Exit(report_and_exit_code(cameras=cameras, graph=graph, as_json=as_json))


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="assets to fetch [default: model and demo videos]")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="fetch all assets")] = False,
) -> None:
    """Fetch models and demo videos into the cache and check their SHA-256."""
    from pose_core.assets import fetch as fetch_assets

    for path in fetch_assets(["all"] if everything else names or ["default"], progress=say):
        say(str(path))


@app.command()
def bench(
    minutes: Annotated[
        float, typer.Option(help="length of the memory loop in minutes; 0 skips it", min=0)
    ] = 10.0,
    rounds: Annotated[int, typer.Option(help="rounds of each comparison", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """Measure throughput, latency, message cost, executors, pose process and memory on the demo video, side by side."""
    from pose_tools.bench.graph import bench as run_bench

    show(run_bench(minutes=minutes, rounds=rounds, say=say), as_json)


@app.command("bag-recover")
def bag_recover(
    bag: Annotated[Path, typer.Argument(help="bag folder that was cut short")],
    out: Annotated[Path, typer.Argument(help="folder of the repaired copy; must not exist")],
) -> None:
    """Copy a bag that was cut short, up to its last whole chunk."""
    from pose_tools.bag.recovery import recover

    say(f"{recover(bag, out)} messages recovered to {out}")


cli_files.add_to(app)
cli_train.add_to(app)


def main() -> None:
    """Entry point: errors that a user can mend are one sentence and exit code 1."""
    arguments = sys.argv[1:]
    if "--ros-args" in arguments:
        at = arguments.index("--ros-args")
        ros_args[:] = arguments[at + 1 :]
        arguments = arguments[:at]
    try:
        app(arguments, prog_name="pose")
    except ModuleNotFoundError as error:
        command = " ".join(["pose", *(word for word in arguments[:1] if not word.startswith("-"))])
        sentence = said_of(error.name or "", command)
        if sentence is None:
            raise
        say(f"pose: {sentence}")
        sys.exit(1)
    except (ValueError, OSError, FetchFailed) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        say(f"pose: {error}{'; free some space, and run the same command again' if full else ''}")
        sys.exit(1)


def _tilted(
    chosen: dict[str, dict[str, Any]],
    tilt: str | None,
    pitch: float | None,
    roll: float | None,
    level_frame: str | None,
) -> None:
    """Add to what is `chosen` how the camera is tilted; a pitch or a roll alone states that."""
    if tilt is None and level_frame is not None:
        tilt = TF
    elif tilt is None and (pitch is not None or roll is not None):
        tilt = STATED
    angles = {"camera_pitch_deg": pitch, "camera_roll_deg": roll}
    chosen["lift3d"] |= {"camera_tilt": tilt, "level_frame": level_frame, **angles}
    chosen["refine"] |= angles


def _setup(chosen: dict[str, dict[str, Any]], params: Path, is_live: bool) -> Any:
    from pose_tools.graph.graph import Setup

    overrides = {
        stage: {k: v for k, v in values.items() if v is not None} for stage, values in chosen.items()
    }
    return Setup(params_file=params, overrides=overrides, live=is_live, ros_args=tuple(ros_args))
