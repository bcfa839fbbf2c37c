"""Commands that work on files: process, export, plot, view, refine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from lift3d_node.params import Lift3DParams
from pose2d_node.params import Pose2DParams
from pose_core.config import PITCH, ROLL
from pose_tools.terminal import Bar, Json, say, show
from refine_node.params import RefineParams

POSE2D, LIFT3D, REFINE = Pose2DParams(), Lift3DParams(), RefineParams()

Height = Annotated[float, typer.Option(help="standing height of everybody in metres; 0: not known")]
Mass = Annotated[float, typer.Option(help="kilograms; 0: not known, taken from the height")]
EstimateMissing = Annotated[
    bool, typer.Option("--estimate-missing", help="mirror limbs that are not seen from the other side")
]
ForceComplete = Annotated[
    bool, typer.Option("--force-complete", help="give every marker in every frame, made up where it must be")
]
Cycles = Annotated[
    int, typer.Option(help="headings to which a person is turned to add markers; the answers are averaged")
]
RECORDED = "[default: as a bag knows it, else 0]"
Pitch = Annotated[float | None, typer.Option("--camera-pitch-deg", help=f"{PITCH} {RECORDED}")]
Roll = Annotated[float | None, typer.Option("--camera-roll-deg", help=f"{ROLL} {RECORDED}")]
LEVEL = "[default: not known; angles take the camera as level]"
StatedPitch = Annotated[float | None, typer.Option("--camera-pitch-deg", help=f"{PITCH} {LEVEL}")]
StatedRoll = Annotated[float | None, typer.Option("--camera-roll-deg", help=f"{ROLL} {LEVEL}")]
MinSeconds = Annotated[float, typer.Option(help="people seen for less are listed, not written")]
People = Annotated[list[str] | None, typer.Option("--person", help="id of a person [default: everybody]")]
Namespace = Annotated[str | None, typer.Option(help="of the robot, where the bag has the topics of several")]
Force = Annotated[bool, typer.Option("--force", help="replace what is there")]


def add_to(app: typer.Typer) -> None:
    """Give the `pose` command these."""
    for command in (process, export, plot, view, refine):
        app.command()(command)


def process(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="video file, folder of images, or bag")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the results")],
    height: Height = 0.0,
    mass: Mass = 0.0,
    estimate_missing: EstimateMissing = False,
    force_complete: ForceComplete = False,
    augmentation_cycles: Cycles = 1,
    joint_refinement: Annotated[
        bool, typer.Option("--joint-refinement", help="let a network correct implausible joint angles")
    ] = False,
    detector: Annotated[str, typer.Option(help="what finds people in images")] = POSE2D.detector,
    lifter: Annotated[str, typer.Option(help="lifting model")] = LIFT3D.lifter,
    refiner: Annotated[str, typer.Option(help="how to smooth")] = REFINE.refiner,
    visibility_min: Annotated[
        float, typer.Option(help="confidence below which a joint is left out of the results")
    ] = LIFT3D.min_confidence,
    calibration: Annotated[
        Path | None,
        typer.Option(help="camera calibration file [default: the bag's, or a usual angle of view]"),
    ] = None,
    camera_pitch: StatedPitch = None,
    camera_roll: StatedRoll = None,
    pelvis_sequence: Annotated[
        str, typer.Option(help="of the pelvis: Baker's YXZ, or ZXY as ISB has it")
    ] = REFINE.pelvis_sequence,
    num_poses: Annotated[int, typer.Option(help="most people to look for")] = POSE2D.num_poses,
    model: Annotated[str, typer.Option(help="MediaPipe model")] = POSE2D.model,
    image_rate: Annotated[
        float, typer.Option(help="images per second of a folder of images")
    ] = POSE2D.image_rate_hz,
    overlay: Annotated[bool, typer.Option(help="also a video with the people drawn on it")] = True,
    min_seconds: MinSeconds = 1.0,
    processes: Annotated[
        int, typer.Option(help="how many look for people at once; 0: one for each core", min=0)
    ] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A recording to markers (TRC), joint angles (CSV, PNG), a bag, an overlay video and a report. Interrupted, it goes on."""
    from pose_tools.process.job import ProcessJob
    from pose_tools.process.run import process as run_process

    job = ProcessJob(
        source=source,
        out=out,
        height=height,
        mass=mass,
        estimate_missing=estimate_missing,
        force_complete=force_complete,
        augmentation_cycles=augmentation_cycles,
        joint_refinement=joint_refinement,
        detector=detector,
        lifter=lifter,
        refiner=refiner,
        visibility_min=visibility_min,
        calibration=calibration,
        camera_pitch_deg=camera_pitch,
        camera_roll_deg=camera_roll,
        pelvis_sequence=pelvis_sequence,
        num_poses=num_poses,
        model=model,
        image_rate_hz=image_rate,
        overlay=overlay,
        min_seconds=min_seconds,
        force=force,
        processes=processes,
    )
    with Bar("process") as progress:
        result = run_process(job, progress, say)
    show(result, as_json)


def export(
    bag: Annotated[Path, typer.Argument(help="bag: folder, .mcap or .db3 file")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the files")],
    to: Annotated[
        str, typer.Option(help="formats, with commas: trc, c3d, mot, bvh, csv, npz")
    ] = "trc,c3d,mot,bvh,csv",
    height: Annotated[
        float, typer.Option(help="standing height in metres to which everybody is scaled; 0: as recorded")
    ] = 0.0,
    mass: Mass = 0.0,
    person: People = None,
    min_seconds: MinSeconds = 1.0,
    augment: Annotated[bool, typer.Option("--augment", help="add markers by marker augmentation")] = False,
    augmentation_cycles: Cycles = 1,
    estimate_missing: EstimateMissing = False,
    force_complete: ForceComplete = False,
    camera_pitch: Pitch = None,
    camera_roll: Roll = None,
    namespace: Namespace = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write everybody in a bag to files: TRC, C3D, MOT, BVH, CSV, npz."""
    from pose_tools.files.export import ExportJob
    from pose_tools.files.export import export as run_export

    job = ExportJob(
        bag=bag,
        out=out,
        to=tuple(dict.fromkeys(name.strip().lower() for name in to.split(",") if name.strip())),
        height=height,
        mass=mass,
        people=tuple(person or ()),
        min_seconds=min_seconds,
        augment=augment,
        augmentation_cycles=augmentation_cycles,
        estimate_missing=estimate_missing,
        force_complete=force_complete,
        camera_pitch_deg=camera_pitch,
        camera_roll_deg=camera_roll,
        namespace=namespace,
        force=force,
    )
    with Bar("export") as progress:
        result = run_export(job, progress, say)
    show(result, as_json)


def plot(
    source: Annotated[
        Path,
        typer.Argument(
            help="bag, folder of pose process or pose demo, folder of angle tables, .npz, .trc or .c3d file"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the figures")],
    person: People = None,
    joint: Annotated[
        list[str] | None,
        typer.Option("--joint", help="right_knee, or knee for both [default: all and an overview]"),
    ] = None,
    camera_pitch: Pitch = None,
    camera_roll: Roll = None,
    namespace: Namespace = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw joint angles and the skeleton of a recording as PNG."""
    from pose_tools.files.plot import PlotJob
    from pose_tools.files.plot import plot as run_plot

    job = PlotJob(
        source, out, tuple(person or ()), tuple(joint or ()), camera_pitch, camera_roll, namespace, force
    )
    with Bar("plot") as progress:
        result = run_plot(job, progress)
    show(result, as_json)


def view(
    source: Annotated[
        Path, typer.Argument(help="bag, folder of pose process or pose demo, .trc, .c3d or .npz file")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="page to write [default: beside the source]")
    ] = None,
    person: People = None,
    begin: Annotated[
        float, typer.Option("--from", help="seconds since the start from which it is shown")
    ] = 0.0,
    end: Annotated[
        float | None, typer.Option("--to", help="seconds up to which it is shown [default: the end]")
    ] = None,
    camera_pitch: Pitch = None,
    camera_roll: Roll = None,
    namespace: Namespace = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="open the page in a browser")] = True,
    as_json: Json = False,
) -> None:
    """Show a recording in 3D: a page for the browser that needs no server."""
    from pose_tools.files.view import ViewJob
    from pose_tools.files.view import view as run_view

    job = ViewJob(
        source=source,
        out=out,
        people=tuple(person or ()),
        begin=begin,
        end=math.inf if end is None else end,
        camera_pitch_deg=camera_pitch,
        camera_roll_deg=camera_roll,
        namespace=namespace,
        open_browser=open_browser,
    )
    with Bar("view") as progress:
        result = run_view(job, progress)
    show(result, as_json)


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
    from pose_tools.files.refine import RefineJob, refine_file

    chosen = {"refiner": refiner, "model": model, "look_ahead": look_ahead, "bone_lengths": bone_lengths}
    job = RefineJob(source, out, build(RefineParams, chosen), offline, skeleton, rate, force)
    with Bar("refine") as progress:
        result = refine_file(job, progress)
    show(result, as_json)
