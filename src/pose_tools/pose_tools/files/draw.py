"""`pose draw`: people drawn on images, on folders of them, on videos and on bags, in one of the styles of `pose_viz.drawing`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lift3d_node import models
from lift3d_node.params import Lift3DParams
from pose2d_node.detector import DETECTORS
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import IMAGE_SUFFIXES
from pose_core.callbacks import Progress, Say
from pose_core.config import check
from pose_core.conversion import conversion
from pose_core.skeleton import HAND21, MEDIAPIPE33, SKELETONS
from pose_tools.bag.files import is_bag
from pose_tools.files.drawn_images import draw_folder, draw_image
from pose_tools.files.drawn_video import draw_video
from pose_tools.files.painter import Painting
from pose_tools.parameters.chosen import Values, params_of
from pose_tools.parameters.options import DRAW, RUNS
from pose_viz.codecs import SUFFIXES as VIDEO_SUFFIXES
from pose_viz.drawing.styles import STYLES, Style

USUAL: Values = {"pose2d": {"num_poses": 4}}
"""What differs here from what a node does where nobody says: a picture shows several people as often as one."""
TRANSPARENT_SUFFIX = ".png"
IMAGE, FOLDER, VIDEO = "image", "folder", "video"


@dataclass(frozen=True)
class DrawJob:
    """What to draw, and how. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    """Image, folder of images, video or bag."""
    out: Path
    """Image, folder or video, as the source is; of a folder also a video."""
    style: str = "sides"
    """Name of one of `STYLES`."""
    skeleton: str = MEDIAPIPE33.name
    """Whose joints are drawn."""
    with_3d: bool = False
    """Whether the lifted people stand beside."""
    transparent: bool = False
    """Whether the picture holds the people alone."""
    legend: bool = True
    visibility_min: float = 0.5
    """Confidence from which a joint is seen, for masks and for inferring what is not."""
    namespace: str | None = None
    """Of the robot, where the bag has several."""
    force: bool = False
    """Replace what is there."""
    pose2d: Pose2DParams = field(default_factory=partial(params_of, "pose2d", USUAL))
    lift3d: Lift3DParams = field(default_factory=Lift3DParams)

    @classmethod
    def of(cls, source: Path, out: Path, *layers: Values, **own: Any) -> DrawJob:
        """From values by stage, of which later layers count more; the rest are defaults. Raises ValueError."""
        made = {owner: params_of(owner, USUAL, *layers) for owner in RUNS[DRAW]}
        return cls(source, out, **own, **made)

    def __post_init__(self) -> None:
        if not self.source.exists():
            raise ValueError(
                f"there is no '{self.source}'; name an image, a folder of images, a video or a bag"
            )
        for owner in RUNS[DRAW]:
            check(getattr(self, owner))
        models.expect_known(self.lift3d.lifter)
        DETECTORS.get(self.pose2d.detector)
        if not 0.0 <= self.visibility_min <= 1.0:
            raise ValueError(f"visibility-min must be 0 to 1, got {self.visibility_min:g}")
        _expect_skeleton(self.skeleton)
        style: Style = STYLES.get(self.style)
        if self.transparent and style.flat:
            raise ValueError(
                "the style flat is a plot, from which nobody can be cut out; leave --transparent out"
            )
        _expect_out(self)

    @property
    def kind(self) -> str:
        """What is made: an image, a folder of them or a video."""
        if self.source.is_file() and self.source.suffix.lower() in IMAGE_SUFFIXES:
            return IMAGE
        if self.source.is_dir() and not is_bag(self.source):
            return VIDEO if self.out.suffix.lower() in VIDEO_SUFFIXES else FOLDER
        return VIDEO

    @property
    def painting(self) -> Painting:
        """How people are drawn."""
        style: Style = STYLES.get(self.style)
        return Painting(
            style,
            self.skeleton,
            self.visibility_min,
            self.legend,
            self.transparent,
            self.with_3d,
            self.lift3d,
        )


def draw(job: DrawJob, progress: Progress, say: Say) -> dict[str, Any]:
    """Make the pictures; what came out. `progress` gets the images that are done, and how many there are.

    Raises ValueError for a source that cannot be read, OSError where the output cannot be written. Unless it returns, nothing is
    at `job.out` that was not there before, but for images that replaced others in a folder.
    """
    if job.kind == IMAGE:
        made = draw_image(job.source, job.out, job.painting, job.pose2d, say)
    elif job.kind == FOLDER:
        made = draw_folder(job.source, job.out, job.painting, job.pose2d, progress, say)
    else:
        made = draw_video(job.source, job.out, job.painting, job.pose2d, progress, say, job.namespace)
    return {"out": str(job.out), "style": job.style, **made}


def _expect_skeleton(name: str) -> None:
    if name == HAND21.name:
        raise ValueError(
            f"skeleton '{name}' is that of a hand, and no detector here finds hands; choose mediapipe33, coco17, mpi_inf28 "
            "or h36m17"
        )
    SKELETONS.get(name)
    if not conversion(MEDIAPIPE33.name, name).known.any():
        raise ValueError(f"skeleton '{name}' has no joint that the detector tells; choose another one")


def _expect_out(job: DrawJob) -> None:
    """Raise ValueError for a name that cannot be written, or must not be."""
    out, suffix = job.out, job.out.suffix.lower()
    if job.kind == FOLDER:
        _expect_folder(job)
        return
    allowed: tuple[str, ...]
    if job.kind == IMAGE:
        allowed = (TRANSPARENT_SUFFIX,) if job.transparent else IMAGE_SUFFIXES
        what = "a transparent image" if job.transparent else "an image"
    else:
        allowed, what = VIDEO_SUFFIXES, "a video"
        if job.transparent:
            raise ValueError(
                "a video cannot be transparent; leave --transparent out, or draw a folder of images"
            )
    if suffix not in allowed:
        raise ValueError(
            f"{what} cannot be written to '{out}'; name a file that ends in {', '.join(allowed)}"
        )
    if out.exists() and out.samefile(job.source):
        raise ValueError(f"{out} is the input itself; name another file with -o")
    if job.source.is_dir() and out.resolve().parent == job.source.resolve():
        raise ValueError(f"{out} would lie in the input; name a file elsewhere with -o")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; name a file for {what} with -o")
    if out.exists() and not job.force:
        raise ValueError(f"{out} is there already; replace it with --force, or name another file with -o")


def _expect_folder(job: DrawJob) -> None:
    out = job.out
    if out.suffix.lower() in IMAGE_SUFFIXES:
        raise ValueError(
            f"{job.source} is a folder of images, and so is what becomes of it; name a folder with -o"
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name a folder with -o")
    if out.resolve() == job.source.resolve():
        raise ValueError(f"{out} is the input itself; name another folder with -o")
    if out.is_dir() and any(out.iterdir()) and not job.force:
        raise ValueError(
            f"{out} holds files; write to it all the same with --force, or name another folder with -o"
        )
