"""Parameters of the 2D stage."""

from __future__ import annotations

from dataclasses import dataclass

from pose_core.config import StageParams, param

DELEGATES = ("cpu", "gpu", "auto")
TRANSPORTS = ("raw", "compressed")
AUTO_TOKEN, NO_TOKEN = "auto", "none"
LONGEST_TOKEN = 16


@dataclass(frozen=True)
class Pose2DParams(StageParams):
    """Where images come from, how people are looked for in them, and how long a person who is out of sight is
    remembered."""

    source: str = param(
        "",
        "camera index (0), camera device or stream (/dev/video0, rtsp://...), video file or folder of "
        "images; empty: the image topic",
    )
    image_transport: str = param(
        "raw",
        "which images to take: of image_raw, or of image_raw/compressed; compressed ones on image_raw itself are taken anyway",
        choices=TRANSPORTS,
    )
    frame_id: str = param(
        "camera_optical_frame",
        "optical frame of the images, where the image message does not say it (REP 103)",
    )
    calibration: str = param(
        "", "file of the camera's calibration as camera_calibration writes it (YAML); empty: uncalibrated"
    )
    camera_width: int = param(
        0, "image width to ask of the camera; 0: its own choice", unit="px", low=0, high=16384
    )
    camera_height: int = param(
        0, "image height to ask of the camera; 0: its own choice", unit="px", low=0, high=16384
    )
    camera_fps: float = param(
        0.0, "rate to ask of the camera; 0: its own choice", unit="Hz", low=0.0, high=1000.0
    )
    image_rate_hz: float = param(30.0, "rate of a folder of images", unit="Hz", low=0.001, high=1000.0)
    loop: bool = param(False, "start a video or folder again when it ends; its time line goes on")
    real_time: bool = param(
        False,
        "play a video or folder at its own rate, stamped with the system time, and drop the frames that come "
        "too late; false: every frame, as fast as possible, stamped with its own time line",
    )
    wait_for: str = param(
        "",
        "nodes, with blanks between, that must listen before the first image of a source is read: lift3d, refine, viz, "
        "pose_recorder; after a minute it begins without them",
    )
    run_token: str = param(
        AUTO_TOKEN,
        f"what stands behind every id (p1_k7f2), so that no two runs share one: letters a to z, digits, at most {LONGEST_TOKEN}; "
        "none: nothing; auto: nothing for a recording that is read as fast as it can be, whose ids are the same each time, else "
        "four at random at each start",
    )
    detector: str = param(
        "mediapipe",
        "what finds people in images: mediapipe, or what an installed package brings by that name",
    )
    model: str = param("full", "MediaPipe pose landmarker: lite, full or heavy, or the path of a .task file")
    delegate: str = param(
        "cpu", "where MediaPipe runs; auto: on the GPU where there is one", choices=DELEGATES
    )
    num_poses: int = param(
        1,
        "most people to look for; more than are in sight costs time, as the detector runs on every image",
        low=1,
        high=10,
    )
    min_detection_confidence: float = param(
        0.5, "confidence for a person to be found in the whole image", low=0.0, high=1.0
    )
    min_presence_confidence: float = param(0.5, "confidence for a found person to be kept", low=0.0, high=1.0)
    min_tracking_confidence: float = param(
        0.5,
        "confidence for a person to be followed without a new search of the whole image",
        low=0.0,
        high=1.0,
    )
    max_frame_gap: float = param(
        2.0, "time between two images after which MediaPipe starts anew", unit="s", low=0.01, high=3600.0
    )
    max_track_gap: float = param(
        1.0, "time out of sight after which a returning person gets a new id", unit="s", low=0.0, high=60.0
    )
    min_track_similarity: float = param(
        0.2,
        "least similarity to where a person was expected for the id to be kept",
        low=0.01,
        high=1.0,
    )


def is_camera(source: str) -> bool:
    """Whether `source` names a camera or a stream, which gives images when they come; else it is a recording."""
    return source.isdecimal() or "://" in source or source.startswith("/dev/")
