"""Commands that work on files: process, lift, export, plot, view, refine, draw."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from pose_tools.cli.options import Chosen, takes
from pose_tools.parameters.options import DRAW, EXPORT, LIFT, PLOT, PROCESS, REFINE, VIEW
from pose_tools.terminal import Bar, Json, say, show

People = Annotated[list[str] | None, typer.Option("--person", help="id of a person [default: everybody]")]
Namespace = Annotated[str | None, typer.Option(help="of the robot, where the bag has the topics of several")]
Force = Annotated[bool, typer.Option("--force", help="replace what is there")]


def add_to(app: typer.Typer) -> None:
    """Give the `pose` command these."""
    for command in (process, lift, export, plot, view, refine, draw):
        app.command()(command)


@takes(PROCESS, file="parameter YAML as the nodes take it [default: none]")
def process(
    chosen: Chosen,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="video file, folder of images, or bag")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the results")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A recording to markers (TRC), joint angles (CSV, PNG), a bag, an overlay video and a report. Interrupted, it goes on."""
    from pose_tools.process.first_use import fetch_missing, missing
    from pose_tools.process.job import ProcessJob
    from pose_tools.process.run import process as run_process

    job = ProcessJob.of(source, out, *chosen.layers(), force=force)
    fetch_missing(missing(job), say)
    with Bar("process") as progress:
        result = run_process(job, progress, say)
    show(result, as_json)


@takes(LIFT, file="parameter YAML as the nodes take it [default: none]")
def lift(
    chosen: Chosen,
    source: Annotated[Path, typer.Argument(metavar="IMAGE", help="image of a person")],
    out: Annotated[Path, typer.Option("--out", "-o", help="array (.npy) to write")],
    skeleton: Annotated[str, typer.Option(help="skeleton whose joints are written")] = "mpi_inf28",
    plot_to: Annotated[
        Path | None, typer.Option("--plot", help="also write a figure (.png) of the people in 2D and in 3D")
    ] = None,
    pnp: Annotated[
        Path | None,
        typer.Option(
            help="also write the image (.png, .jpg) with the people drawn back into it as PnP placed them"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace existing files")] = False,
    as_json: Json = False,
) -> None:
    """The people of one image in 3D as an array (.npy): (28, 3) of one person, metres, in the frame of the camera."""
    from pose_tools.files.lift import LiftJob, lift_image
    from pose_tools.process.first_use import fetch_missing, missing_model

    job = LiftJob(
        source,
        out,
        skeleton,
        chosen.params("pose2d"),
        chosen.params("lift3d"),
        plot=plot_to,
        pnp=pnp,
        force=force,
    )
    fetch_missing(missing_model(job.pose2d), say)
    show(lift_image(job), as_json)


@takes(EXPORT)
def export(
    chosen: Chosen,
    bag: Annotated[Path, typer.Argument(help="bag: folder, .mcap or .db3 file")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the files")],
    to: Annotated[
        str, typer.Option(help="formats, with commas: trc, c3d, mot, bvh, csv, npz")
    ] = "trc,c3d,mot,bvh,csv",
    height: Annotated[
        float, typer.Option(help="standing height in metres to which everybody is scaled; 0: as recorded")
    ] = 0.0,
    person: People = None,
    augment: Annotated[bool, typer.Option("--augment", help="add markers by marker augmentation")] = False,
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
        people=tuple(person or ()),
        augment=augment,
        process=chosen.params("process"),
        tilt=chosen.tilt,
        namespace=namespace,
        force=force,
    )
    with Bar("export") as progress:
        result = run_export(job, progress, say)
    show(result, as_json)


@takes(PLOT)
def plot(
    chosen: Chosen,
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
    namespace: Namespace = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw joint angles and the skeleton of a recording as PNG."""
    from pose_tools.files.plot import PlotJob
    from pose_tools.files.plot import plot as run_plot

    job = PlotJob(
        source=source,
        out=out,
        people=tuple(person or ()),
        joints=tuple(joint or ()),
        namespace=namespace,
        force=force,
        tilt=chosen.tilt,
    )
    with Bar("plot") as progress:
        result = run_plot(job, progress)
    show(result, as_json)


@takes(VIEW)
def view(
    chosen: Chosen,
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
        namespace=namespace,
        open_browser=open_browser,
        tilt=chosen.tilt,
    )
    with Bar("view") as progress:
        result = run_view(job, progress)
    show(result, as_json)


@takes(REFINE)
def refine(
    chosen: Chosen,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="recording of one person: pose sequence, or .npz with xyz (T, J, 3) in metres"
        ),
    ],
    out: Annotated[Path, typer.Argument(help="pose sequence (.npz) to write")],
    offline: Annotated[
        bool, typer.Option("--offline", help="use the whole recording for each frame")
    ] = False,
    rate: Annotated[float, typer.Option(help="images per second of a file without stamps")] = 0.0,
    skeleton: Annotated[str, typer.Option(help="skeleton of a file that does not name it")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace an existing output")] = False,
    as_json: Json = False,
) -> None:
    """Smooth a recording of one person: as the stage does it live, with some frames of look-ahead, or offline."""
    from pose_tools.files.refine import RefineJob, refine_file

    job = RefineJob(source, out, chosen.params("refine"), offline, skeleton, rate, force)
    with Bar("refine") as progress:
        result = refine_file(job, progress)
    show(result, as_json)


@takes(DRAW)
def draw(
    chosen: Chosen,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="image, folder of images, video file, or bag")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="image, folder or video to write, as the input is one")
    ],
    style: Annotated[
        str, typer.Option(help="plain, masks, named, legend, grouped, grouped-filled, flat or sides")
    ] = "sides",
    skeleton: Annotated[
        str, typer.Option(help="whose joints are drawn: mediapipe33, coco17, mpi_inf28 or h36m17")
    ] = "mediapipe33",
    with_3d: Annotated[bool, typer.Option("--with-3d", help="the lifted people beside")] = False,
    transparent: Annotated[
        bool, typer.Option("--transparent", help="the people alone, on nothing (PNG)")
    ] = False,
    legend: Annotated[bool, typer.Option(help="say what the colours mean, where nobody is")] = True,
    visibility_min: Annotated[
        float, typer.Option(help="confidence from which a joint is seen, for masks and grouped-filled")
    ] = 0.5,
    namespace: Namespace = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw people on an image, a folder of images, a video or a bag, in one of eight styles."""
    from pose_tools.files.draw import DrawJob
    from pose_tools.files.draw import draw as run_draw
    from pose_tools.process.first_use import fetch_missing, missing_model

    job = DrawJob.of(
        source,
        out,
        *chosen.layers(),
        style=style,
        skeleton=skeleton,
        with_3d=with_3d,
        transparent=transparent,
        legend=legend,
        visibility_min=visibility_min,
        namespace=namespace,
        force=force,
    )
    fetch_missing(missing_model(job.pose2d), say)
    with Bar("draw") as progress:
        result = run_draw(job, progress, say)
    show(result, as_json)
