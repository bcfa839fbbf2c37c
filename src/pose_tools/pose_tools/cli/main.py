"""The `pose` command: what runs the graph. `cli_files` has what works on files, `cli_train` what learns and measures."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from pose_core.assets import FetchFailed
from pose_core.system import exits
from pose_core.system.exits import Failed, WrongConfiguration, refusing
from pose_tools.cli import files as cli_files
from pose_tools.cli import train as cli_train
from pose_tools.cli.doors import Commands
from pose_tools.cli.options import Chosen, takes
from pose_tools.middleware import PROFILE, environment
from pose_tools.missing import has_ros, said_of
from pose_tools.parameters.chosen import of_file, params_of
from pose_tools.parameters.options import DEMO, LIVE, RECORD, REPLAY
from pose_tools.terminal import Bar, Json, say, show

app = typer.Typer(
    cls=Commands,
    help="Real-time 3D human pose: run, record, replay and check the pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # with it, "[default: ...]" in a help text would be taken for markup and vanish
    context_settings={"help_option_names": ["-h", "--help"]},
)
UsageError: Any = typer.BadParameter.__base__
"""What typer raises for words that it cannot place; it gives that class no name of its own."""
ros_args: list[str] = []
"""What stood behind --ros-args: remappings and the like, handed to every node."""

OF_LAUNCH_FILE = "parameter YAML [default: the one of the launch file]"
ImageTopic = Annotated[
    str, typer.Option(help="topic of the images in the bag, where it holds those of several names")
]
CameraInfo = Annotated[str, typer.Option(help="CameraInfo topic in the bag, where it holds several")]
LOAD, START, DRAWING = ONLY = "load", "start", "draw"
"""Measurements of `pose bench` that can be asked for by themselves."""
MaxFrames = Annotated[int, typer.Option(help="stop after this many images; 0: all", min=0)]


@app.command()
@takes(LIVE, file=OF_LAUNCH_FILE)
def live(
    chosen: Chosen,
    record: Annotated[Path | None, typer.Option(help="folder of the bag to record")] = None,
    image_topic: Annotated[
        str, typer.Option(help="image topic to read, or to publish on with a source [default: image_raw]")
    ] = "",
    camera_info: Annotated[
        str, typer.Option(help="CameraInfo topic beside the image topic [default: camera_info]")
    ] = "",
    max_frames: MaxFrames = 0,
    stay: Annotated[bool, typer.Option(help="keep the nodes up after the source has ended")] = False,
    as_json: Json = False,
) -> None:
    """Run all stages in one process on a camera, video, image folder or image topic."""
    from pose2d_node.params import is_camera
    from pose_ros import topics
    from pose_tools.bag.topics import remapped
    from pose_tools.graph.graph import Setup
    from pose_tools.graph.live import Run, run
    from pose_tools.graph.workspace import config_file

    file, values = chosen.file or config_file("live.yaml"), chosen.values()
    recorded = chosen.params("record")
    # The file is that of the launch file, where a video stands in for a camera; here every image is wanted.
    values.setdefault("pose2d", {}).setdefault("real_time", False)
    with refusing():
        pose2d = params_of("pose2d", of_file(file), values)
        renamed = remapped({topics.IMAGE: image_topic, topics.CAMERA_INFO: camera_info})
    setup = Setup(
        params_file=file,
        overrides=values,
        live=pose2d.real_time or is_camera(pose2d.source) or not pose2d.source,
        ros_args=(*ros_args, *renamed),
    )
    with Bar("live") as progress:
        job = Run(
            setup,
            record=record,
            record_images=recorded.images,
            record_transport=recorded.image_transport,
            max_frames=max_frames,
            stay=stay,
            progress=progress,
        )
        result = run(job)
    show(result, as_json)
    _end(result)


@app.command()
@takes(DEMO)
def demo(
    chosen: Chosen,
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("out/demo"),
    max_frames: MaxFrames = 0,
    as_json: Json = False,
) -> None:
    """Run the demo video through the live graph: a bag, an overlay video, a picture of the 3D skeleton, a summary."""
    from pose_tools.graph.demo import demo as run_demo

    with Bar("demo") as progress:
        result = run_demo(out, max_frames, progress, chosen.values())
    show(result, as_json)


@app.command()
@takes(REPLAY, file=OF_LAUNCH_FILE)
def replay(
    chosen: Chosen,
    bag: Annotated[Path, typer.Argument(help="bag to replay")],
    record: Annotated[Path, typer.Option(help="folder of the bag with the new results")],
    images: Annotated[
        bool, typer.Option(help="detect again from the bag's images, not from its 2D people")
    ] = False,
    namespace: cli_files.Namespace = None,
    image_topic: ImageTopic = "",
    camera_info: CameraInfo = "",
    as_json: Json = False,
) -> None:
    """Send a bag through the stages again, image by image; the same bag gives the same bytes."""
    from pose_tools.graph.graph import Setup
    from pose_tools.graph.replay import replay as run_replay
    from pose_tools.graph.workspace import config_file

    file, values = chosen.file or config_file("replay.yaml"), chosen.values()
    with refusing():
        of_file(file)  # names the first thing wrong with it
    if "pose2d" in values and not images:
        raise WrongConfiguration("pose2d looks at images; add --images, or leave what is stated for it out")
    setup = Setup(params_file=file, overrides=values, ros_args=tuple(ros_args))
    with Bar("replay") as progress:
        result = run_replay(
            bag,
            record,
            setup,
            images=images,
            progress=progress,
            namespace=namespace,
            image_topic=image_topic,
            camera_info=camera_info,
            say=say,
        )
    show(result, as_json)


@app.command()
def play(
    bag: Annotated[Path, typer.Argument(help="bag to play")],
    images: Annotated[bool, typer.Option(help="its images, not its 2D people")] = False,
    namespace: cli_files.Namespace = None,
    image_topic: ImageTopic = "",
    camera_info: CameraInfo = "",
    transport: Annotated[
        str, typer.Option(help="raw or compressed images, where the bag has both [default: compressed]")
    ] = "",
    rate: Annotated[
        float, typer.Option(help="playback rate; 0: as fast as the stages take it", min=0.0, max=1000.0)
    ] = 1.0,
    subjects: Annotated[bool, typer.Option(help="state the heights that the bag states")] = True,
    wait_for: Annotated[
        list[str] | None, typer.Option(help="node that must listen before the first frame, beside the stages")
    ] = None,
    describe: Annotated[
        str | None,
        typer.Option(
            help="only print what would be played, as JSON; takes what a parameter file and a user say, as a launch file has it"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a bag to stages that run already, under the clock of the bag; replay.launch.py does it."""
    if describe is not None:
        from pose_tools.bag.namespaces import input_of
        from pose_tools.launching.described import described

        found = input_of(
            bag,
            images=images,
            namespace=namespace,
            image_topic=image_topic,
            camera_info=camera_info,
            transport=transport,
        )
        otherwise = json.loads(describe or "{}")
        by_file, said = otherwise.get("by_file", {}), otherwise.get("said", {})
        print(json.dumps(described(bag, found, images=images, by_file=by_file, said=said)))
        return
    from pose_ros.listeners import names_of
    from pose_tools.graph.play import Play
    from pose_tools.graph.play import play as run_play

    with refusing():
        awaited = tuple(names_of(" ".join(wait_for or [])))
    job = Play(bag, images, namespace, image_topic, camera_info, transport, rate, subjects, awaited)
    with Bar("play") as progress:
        result = run_play(job, progress, tuple(ros_args))
    show(result, as_json)
    _end(result)


@app.command()
@takes(RECORD)
def record(
    chosen: Chosen,
    out: Annotated[Path, typer.Argument(help="folder of the bag; must not exist")],
    as_json: Json = False,
) -> None:
    """Record the result topics of a running graph until interrupted."""
    from pose_tools.graph.live import record as run_record

    params = chosen.params("record")
    result = run_record(
        out, images=params.images, transport=params.image_transport, ros_args=tuple(ros_args), say=say
    )
    show(result, as_json)
    _end(result)


@app.command()
def doctor(
    cameras: Annotated[bool, typer.Option(help="open each camera as well")] = False,
    graph: Annotated[bool, typer.Option(help="look at the running ROS graph")] = True,
    as_json: Json = False,
) -> None:
    """Check the installation, the models, cameras and the running graph; print a remedy for each failure."""
    from pose_tools.doctor.report import report_and_exit_code

    own = list(get_command(app).commands)  # type: ignore[attr-defined]
    raise typer.Exit(report_and_exit_code(cameras=cameras, graph=graph, as_json=as_json, own_commands=own))


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
    only: Annotated[
        str, typer.Option(help="one of the measurements: load, start or draw [default: all]")
    ] = "",
    as_json: Json = False,
) -> None:
    """Measure throughput, latency, load, starts, messages, executors, pose process, pose draw and memory on the demo video."""
    if only and only not in ONLY:
        raise ValueError(f"--only must be {', '.join(ONLY)}, got '{only}'")
    if only == START:
        from pose_tools.bench.start import start

        show(start(rounds, say), as_json)
        return
    if only == DRAWING:
        from pose_core import assets
        from pose_tools.bench.draw import draw_speed
        from pose_tools.graph.demo import VIDEO

        show(draw_speed(assets.path(VIDEO), say), as_json)
        return
    from pose_tools.bench.graph import bench as run_bench
    from pose_tools.bench.load import load_table

    result = load_table(say) if only else run_bench(minutes=minutes, rounds=rounds, say=say)
    show(result, as_json)


@app.command()
def parameters(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="file to write [default: stdout]")] = None,
) -> None:
    """List all parameters: what they are, their defaults and ranges, and the options that state them."""
    from pose_core.files import write_whole
    from pose_tools.parameters.page import page

    if out is None:
        print(page(), end="")
    else:
        write_whole(out, page().encode())


@app.command("bag-recover")
def bag_recover(
    bag: Annotated[Path, typer.Argument(help="bag folder that was cut short")],
    out: Annotated[Path, typer.Argument(help="folder of the repaired copy; must not exist")],
) -> None:
    """Copy a bag that was cut short, up to its last whole chunk."""
    from pose_tools.bag.recovery import recover

    say(f"{recover(bag, out, say)} messages recovered to {out}")


WITH_NODES = ("live", "demo", "play", "replay", "record", "bench")
"""Commands that make ROS nodes which send or get images."""


cli_files.add_to(app)
cli_train.add_to(app)


def main() -> None:
    """Entry point: errors that a user can mend are one sentence and an exit code of `pose_core.system.exits`."""
    arguments = sys.argv[1:]
    if "--ros-args" in arguments:
        at = arguments.index("--ros-args")
        ros_args[:] = arguments[at + 1 :]
        arguments = arguments[:at]
    try:
        if arguments[:1] and arguments[0] in WITH_NODES and has_ros():
            from pose_tools.graph.workspace import config_file

            os.environ.update(environment(os.environ, config_file(PROFILE)))
        code = app(arguments, prog_name="pose", standalone_mode=False)
    except UsageError as error:
        say(_sentence(error.format_message()))
        sys.exit(exits.USAGE)
    except typer.Abort:
        sys.exit(exits.FAILED)
    except ModuleNotFoundError as error:
        command = " ".join(["pose", *(word for word in arguments[:1] if not word.startswith("-"))])
        sentence = said_of(error.name or "", command)
        if sentence is None:
            raise
        say(f"pose: {sentence}")
        sys.exit(exits.FAILED)
    except (ValueError, OSError, FetchFailed) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        say(f"pose: {error}{'; free some space, and run the same command again' if full else ''}")
        sys.exit(exits.code_of(error))
    sys.exit(code if isinstance(code, int) else 0)


def _end(result: dict[str, Any]) -> None:
    """Raise Failed where a result, which was shown, says what did not come out."""
    if result.get("failure"):
        raise Failed(result["failure"])


def _sentence(said: str) -> str:
    """What typer says of words that it cannot place, as one sentence; a group of commands without one says what there is."""
    if "\n" in said:
        return said
    said = f"pose: {said[0].lower()}{said[1:].rstrip('.').replace('. ', '; ')}"
    return said if said.endswith("?") else f"{said}; -h lists the options"
