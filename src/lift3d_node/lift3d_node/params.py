"""Parameters of the lifting stage."""

from __future__ import annotations

from dataclasses import dataclass

from pose_core.config import TiltParams, param
from pose_core.networks.runtime import DEVICES
from pose_core.statements import MAX_HEIGHT, MIN_HEIGHT

BACKENDS = ("auto", "onnxruntime", "torch")
UNKNOWN, STATED, TF = TILTS = ("unknown", "stated", "tf")


@dataclass(frozen=True)
class Lift3DParams(TiltParams):
    """Defaults that are measurements state where they come from."""

    lifter: str = param("streaming_tcn", "how 2D becomes 3D: the name of a lifter")
    model: str = param(
        "",
        "file of a trained network to lift with, .onnx or .pt; empty: the weights that come with the lifter",
    )
    backend: str = param("auto", "what computes a network; auto: as its file ends", choices=BACKENDS)
    device: str = param(
        "auto",
        "where a network is computed; auto: a CUDA device where the backend finds one; one that is not there is an error",
        choices=DEVICES,
    )
    compile: bool = param(False, "let torch generate code for this machine, which takes a minute at start-up")

    joint_centres: bool = param(
        False, "also publish where the joints' true centres of rotation are, for lifters that know them"
    )

    # Known, the default lifter errs less: docs/models.md.
    camera_tilt: str = param(
        UNKNOWN,
        "what lifters are told of the camera's tilt; stated: camera_pitch_deg, camera_roll_deg; tf: how level_frame stands to it",
        choices=TILTS,
        live=True,
    )
    level_frame: str = param("odom", "camera_tilt tf: a frame whose z axis points up")
    max_tf_age: float = param(
        1.0,
        "camera_tilt tf: time between an image and the newest transform beyond which it is not believed; static ones never age",
        unit="s",
        low=0.01,
        high=3600.0,
    )

    height: float = param(
        0.0,
        f"standing height of everybody, at least {MIN_HEIGHT}; 0: not known; ~/set_subject states it for one person",
        unit="m",
        low=0.0,
        high=MAX_HEIGHT,
        live=True,
    )
    height_std: float = param(
        0.02, "standard deviation of a height that was stated", unit="m", low=0.0, high=0.5, live=True
    )
    # Adults of both sexes as one population: 1.69 m, 0.09 m (ANSUR II: men 1.756, 0.069; women 1.628, 0.064; Gordon et
    # al. 2014, NATICK/TR-15/007). A little wider, because the world's adults vary more than one army's.
    default_height: float = param(
        1.70, "height assumed where none is known", unit="m", low=MIN_HEIGHT, high=MAX_HEIGHT, live=True
    )
    default_height_std: float = param(
        0.10, "standard deviation of the assumed height", unit="m", low=0.0, high=0.5, live=True
    )

    # 60 degrees is the middle of cameras that look at people: Raspberry Pi camera 53, web cameras 53 to 70 (Microsoft
    # LifeCam, Logitech C920), the telephones that filmed Pose2Sim's demos 60. Structure from motion assumes a focal length of
    # 1.2 image sides (45 degrees) for photographs without EXIF; that puts a person before a 60 degree camera 39 percent too far.
    field_of_view_deg: float = param(
        60.0,
        "angle of view across the longer image side, used where no calibration is known",
        unit="deg",
        low=10.0,
        high=150.0,
    )
    field_of_view_std_deg: float = param(
        8.0, "standard deviation of that angle; it makes the depth uncertain", unit="deg", low=0.0, high=60.0
    )

    # Camera 2 of Pose2Sim's demo, at 60 and 30 images per second: MediaPipe takes front for back in 24 of 100 and 9 of 50, of
    # which 3 and 0 remain (docs/models.md has what that does). Nothing is exchanged in the 450 images of the other cameras.
    repair_swaps: bool = param(
        True, "exchange left and right keypoints where the detector has swapped them", live=True
    )
    min_joints: int = param(
        6, "joints that must be seen inside the image for a person to be placed", low=4, high=100
    )
    min_confidence: float = param(0.3, "confidence that a keypoint needs to take part", low=0.0, high=1.0)
    keypoint_std: float = param(
        0.005, "noise of a sure keypoint, as a share of the diagonal of the person's box", low=1e-5, high=0.1
    )
    rotation_std_deg: float = param(
        10.0,
        "how far the orientation that a lifter gives may be off about each axis; 0 trusts it fully",
        unit="deg",
        low=0.0,
        high=90.0,
    )
    # 396 images of a walking person: 0.04 as a rule, 0.06 at most; with left and right swapped 0.27, rarely below 0.13.
    max_misfit: float = param(
        0.15,
        "median distance of keypoints from the placed shape, as a share of its size, beyond which it is not believed",
        low=0.01,
        high=10.0,
    )
    max_distance: float = param(
        100.0, "distance from the camera beyond which no person is believed", unit="m", low=1.0, high=10000.0
    )
    forget_after: float = param(
        1.0,
        "time after which what a lifter keeps of a person who is gone is forgotten",
        unit="s",
        low=0.0,
        high=60.0,
    )
