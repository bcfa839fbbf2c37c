"""The `pose` command. Progress and tables go to stderr; with --json, one JSON document goes to stdout."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lift3d_node.params import Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core.assets import FetchFailed
from pose_viz.params import VizParams
from refine_node.params import RefineParams

POSE2D, LIFT3D, REFINE, VIZ = Pose2DParams(), Lift3DParams(), RefineParams(), VizParams()

app = typer.Typer(
    help="Real-time 3D human pose: run, record, replay and check the pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ros_args: list[str] = []
"""What stood behind --ros-args: remappings and the like, handed to every node."""

Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]
Params = Annotated[
    Path | None,
    typer.Option("--params", help="parameter YAML [default: the one of the launch file]", exists=True),
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
    from pose_tools.live import Run, run
    from pose_tools.workspace import config_file

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
    setup = _setup(
        chosen, params or config_file("live.yaml"), is_live=real_time or source.isdigit() or not source
    )
    with _Progress("live") as progress:
        job = Run(
            setup,
            record=record,
            record_images=record_images,
            max_frames=max_frames,
            stay=stay,
            progress=progress,
        )
        result = run(job)
    _show(result, as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("out/demo"),
    max_frames: Annotated[int, typer.Option(help="stop after this many images; 0: all", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Run the demo video through the live graph: a bag, an overlay video, a picture of the 3D skeleton, a summary."""
    from pose_tools.demo import demo as run_demo

    with _Progress("demo") as progress:
        result = run_demo(out, max_frames, progress)
    _show(result, as_json)


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
    params: Params = None,
    as_json: Json = False,
) -> None:
    """Send a bag through the stages again, image by image; the same bag gives the same bytes."""
    from pose_tools.replay import replay as run_replay
    from pose_tools.workspace import config_file

    chosen: dict[str, dict[str, Any]] = {
        "lift3d": {"lifter": lifter, "height": height},
        "refine": {"refiner": refiner},
    }
    setup = _setup(chosen, params or config_file("replay.yaml"), is_live=True)
    with _Progress("replay") as progress:
        result = run_replay(bag, record, setup, images=images, progress=progress)
    _show(result, as_json)


@app.command()
def record(
    out: Annotated[Path, typer.Argument(help="folder of the bag; must not exist")],
    images: Annotated[bool, typer.Option(help="also record the compressed images")] = False,
    as_json: Json = False,
) -> None:
    """Record the result topics of a running graph until interrupted."""
    from pose_tools.live import record as run_record

    _show(run_record(out, images=images, ros_args=tuple(ros_args)), as_json)


@app.command()
def doctor(
    cameras: Annotated[bool, typer.Option(help="open each camera as well")] = False,
    graph: Annotated[bool, typer.Option(help="look at the running ROS graph")] = True,
    as_json: Json = False,
) -> None:
    """Check the installation, the models, cameras and the running graph; print a remedy for each failure."""
    from pose_tools.doctor import report_and_exit_code

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

    for path in fetch_assets(["all"] if everything else names or ["default"], progress=_say):
        _say(str(path))


@app.command()
def bench(
    minutes: Annotated[
        float, typer.Option(help="length of the memory loop in minutes; 0 skips it", min=0)
    ] = 10.0,
    rounds: Annotated[int, typer.Option(help="rounds of each comparison", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """Measure throughput, latency, message cost, executors and memory on the demo video, side by side."""
    from pose_tools.bench import bench as run_bench

    _show(run_bench(minutes=minutes, rounds=rounds, say=_say), as_json)


@app.command("bag-recover")
def bag_recover(
    bag: Annotated[Path, typer.Argument(help="bag folder that was cut short")],
    out: Annotated[Path, typer.Argument(help="folder of the repaired copy; must not exist")],
) -> None:
    """Copy a bag that was cut short, up to its last whole chunk."""
    from pose_tools.bag import recover

    _say(f"{recover(bag, out)} messages recovered to {out}")


@app.command()
def refine(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="recording of one person: pose sequence, or .npz with xyz (T, J, 3) in metres"
        ),
    ],
    out: Annotated[Path, typer.Argument(help="pose sequence (.npz) to write")],
    refiner: Annotated[str, typer.Option(help="how to smooth")] = REFINE.refiner,
    model: Annotated[
        str, typer.Option(help="file of a trained network (.onnx), in place of the one that ships")
    ] = "",
    look_ahead: Annotated[int, typer.Option(help="frames that each frame waits for")] = REFINE.look_ahead,
    offline: Annotated[
        bool, typer.Option("--offline", help="use the whole recording for each frame")
    ] = False,
    bone_lengths: Annotated[bool, typer.Option(help="hold bones at their lengths")] = REFINE.bone_lengths,
    rate: Annotated[float, typer.Option(help="images per second of a file without stamps")] = 0.0,
    skeleton: Annotated[str, typer.Option(help="skeleton of a file that does not name it")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace an existing output")] = False,
    as_json: Json = False,
) -> None:
    """Smooth a recording of one person: as the stage does it live, with some frames of look-ahead, or offline."""
    from pose_core.config import build
    from pose_tools.refine_file import RefineJob, refine_file

    chosen = {"refiner": refiner, "model": model, "look_ahead": look_ahead, "bone_lengths": bone_lengths}
    job = RefineJob(source, out, build(RefineParams, chosen), offline, skeleton, rate, force)
    with _Progress("refine") as progress:
        result = refine_file(job, progress)
    _show(result, as_json)


@app.command("export-model")
def export_model(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint (.pt) of pose train")],
    out: Annotated[Path, typer.Argument(help="file to write: .onnx, or .ts for TorchScript")],
    half: Annotated[bool, typer.Option(help="store weights in 16 bits (.onnx)")] = True,
) -> None:
    """Write a trained network as one file that runs without this project, with its model card inside."""
    _needs_torch()
    from pose_tools.train import export_model as run_export

    _say(run_export(checkpoint, out, half))


train_app = typer.Typer(
    help="Train learned parts; needs torch, which make setup-train brings.", no_args_is_help=True
)
evaluate_app = typer.Typer(help="Measure learned parts, and write their documents.", no_args_is_help=True)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
Data = Annotated[Path, typer.Option(help="folder of the motion capture packs")]


@train_app.callback()
@evaluate_app.callback()
def _needs_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise typer.BadParameter("torch is not installed here; run make setup-train")


@train_app.command("lifter")
def train_lifter(
    model: Annotated[str, typer.Option(help="network to train")] = "streaming_tcn",
    data: Data = Path("data"),
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: out/train/MODEL]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: Annotated[int, typer.Option(help="seed of weights and data")] = 0,
    steps: Annotated[int, typer.Option(help="steps instead of the recipe's; 0: those", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="threads of torch on the CPU; 0: all cores", min=0)] = 0,
    wandb: Annotated[str, typer.Option(help="project of Weights & Biases to log to")] = "",
    as_json: Json = False,
) -> None:
    """Train a lifting network on synthesised views of motion capture. Started again, it goes on where it was interrupted."""
    from pose_tools.train import train_lifter as run_training
    from pose_train.runs import Job

    job = Job(model, data, out or Path("out/train") / model, device, seed, steps, threads, wandb)
    with _Progress("train") as progress:
        result = run_training(job, progress, _say)
    _show(result, as_json)


@train_app.command("refiner")
def train_refiner(
    model: Annotated[str, typer.Option(help="network to train")] = "hpstm",
    data: Data = Path("data"),
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: out/train/MODEL]")] = None,
    lifter: Annotated[
        Path | None, typer.Option(help=f"lifter (.onnx) to refine [default: {LIFT3D.lifter} as it ships]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: Annotated[int, typer.Option(help="seed of weights and batches")] = 0,
    steps: Annotated[int, typer.Option(help="steps instead of the recipe's; 0: those", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="threads of torch on the CPU; 0: all cores", min=0)] = 0,
    wandb: Annotated[str, typer.Option(help="project of Weights & Biases to log to")] = "",
    as_json: Json = False,
) -> None:
    """Train a refining network on a lifter's own errors and on made ones. Started again, it goes on where it was interrupted."""
    from pose_tools.train import train_refiner as run_training
    from pose_train.refiner_data import Made
    from pose_train.refiners import RefinerJob

    made = Made(data, lifter) if lifter else Made(data)
    job = RefinerJob(model, made, out or Path("out/train") / model, device, seed, steps, threads, wandb)
    with _Progress("train") as progress:
        result = run_training(job, progress, _say)
    _show(result, as_json)


@evaluate_app.command("lifters")
def evaluate_lifters(
    files: Annotated[
        list[Path] | None, typer.Argument(help="further .onnx and .pt files, besides the shipped weights")
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/models.md"
    ),
    clips: Annotated[int, typer.Option(help="clips of the test", min=1)] = 200,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    real: Annotated[bool, typer.Option(help="also the real video")] = True,
    as_json: Json = False,
) -> None:
    """Measure every lifter on the same held-out people, cameras and noise, and on real video; write docs/models.md."""
    from pose_tools.train import evaluate_lifters as run_evaluation
    from pose_train.evaluate import Settings

    settings = Settings(data, clips=clips, device=device, real=real)
    with _Progress("evaluate") as progress:
        result = run_evaluation(files or [], settings, out, document, progress, _say)
    _show(result, as_json)


@evaluate_app.command("refiners")
def evaluate_refiners(
    files: Annotated[
        list[Path] | None, typer.Argument(help="further .onnx files, besides the shipped weights")
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="folder of the results")] = Path("out/evaluate_refiners"),
    document: Annotated[Path, typer.Option(help="document whose tables are rewritten")] = Path(
        "docs/refiners.md"
    ),
    lifter: Annotated[
        Path | None,
        typer.Option(help=f"lifter whose output is refined [default: {LIFT3D.lifter} as it ships]"),
    ] = None,
    clips: Annotated[int, typer.Option(help="clips of the test", min=1)] = 8,
    real: Annotated[bool, typer.Option(help="also the real video")] = True,
    as_json: Json = False,
) -> None:
    """Measure every refiner on the same lifted, filmed and made recordings; write docs/refiners.md."""
    from pose_tools.train import evaluate_refiners as run_evaluation
    from pose_train.refiner_evaluate import Settings

    settings = (
        Settings(data, lifter, clips=clips, real=real) if lifter else Settings(data, clips=clips, real=real)
    )
    with _Progress("evaluate") as progress:
        result = run_evaluation(files or [], settings, out, document, progress, _say)
    _show(result, as_json)


def main() -> None:
    """Entry point: errors that a user can mend are one sentence and exit code 1."""
    arguments = sys.argv[1:]
    if "--ros-args" in arguments:
        at = arguments.index("--ros-args")
        ros_args[:] = arguments[at + 1 :]
        arguments = arguments[:at]
    try:
        app(arguments, prog_name="pose")
    except (ValueError, OSError, FetchFailed) as error:
        _say(f"pose: {error}")
        sys.exit(1)


def _setup(chosen: dict[str, dict[str, Any]], params: Path, is_live: bool) -> Any:
    from pose_tools.graph import Setup

    overrides = {
        stage: {k: v for k, v in values.items() if v is not None} for stage, values in chosen.items()
    }
    return Setup(params_file=params, overrides=overrides, live=is_live, ros_args=tuple(ros_args))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(result: dict[str, Any], as_json: bool) -> None:
    from pose_tools.summary import table

    _say(table(result))
    if as_json:
        print(json.dumps(result, indent=2, default=str))


class _Progress:
    """A progress bar on stderr, called with the number of images done and, where known, of all."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), refresh_per_second=5)
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> _Progress:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total)
