"""Parameters of the refinement stage."""

from __future__ import annotations

from dataclasses import dataclass

from pose_biomechanics.params import AngleParams
from pose_core.config import param


@dataclass(frozen=True)
class RefineParams(AngleParams):
    """Defaults that were measured state on what: MediaPipe's world landmarks, placed in the camera frame, of Pose2Sim's demo
    videos (people walking and balancing, 60 and 30 frames per second), against triangulation from four views.
    """

    refiner: str = param(
        "kalman",
        "how people are smoothed: kalman, one_euro, savitzky_golay, the networks hpstm or smoothnet, or raw for not at all",
        live=True,
    )
    model: str = param(
        "",
        "file of a trained network for hpstm and smoothnet, .onnx; empty: the weights that come with the refiner",
    )
    look_ahead: int = param(
        0,
        "frames that a person waits for later ones to make their pose better; 0 hands out each frame at once",
        low=0,
        high=8,
    )

    max_gap: float = param(
        0.3,
        "time for which a person or joint that is not seen is predicted",
        unit="s",
        low=0.0,
        high=5.0,
        live=True,
    )
    forget_after: float = param(
        30.0,
        "time after which what was learnt of a person not seen is forgotten",
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
    )
    max_speed: float = param(
        10.0, "speed at which a person may move between frames", unit="m/s", low=0.1, high=100.0, live=True
    )
    gate: float = param(
        4.0,
        "standard deviations of the root by which a person may be farther off than max_speed allows",
        low=1.0,
        high=100.0,
        live=True,
    )
    gate_frames: int = param(
        3,
        "frames that must agree on a jump before it is believed, of a person or of a joint",
        low=1,
        high=100,
        live=True,
    )

    # Second differences put the share at 0.05 to 0.13 for joints and at 0.05 to 0.25 for the root; errors that last a few
    # frames count as well. On the default lifter's output 0.4 takes away half as much acceleration again as 0.2, at 7 ms of
    # lag and the same errors (simulated people of the test split); more costs lag.
    white_share: float = param(
        0.4,
        "share of a joint's standard deviation that is independent from frame to frame; a filter cannot remove the rest",
        low=0.01,
        high=1.0,
        live=True,
    )
    root_white_share: float = param(
        0.3, "the same for the position of the whole person", low=0.01, high=1.0, live=True
    )
    # A limb that is fast turns back fast, one at rest stays: with a density that rises with the squared speed a third less
    # acceleration is left than with the same density at all speeds, and positions err less too (simulated people of the test
    # split; MediaPipe's own 3D of a real video). Two fifths of both costs 10 ms of lag for another tenth of the acceleration.
    process_noise: float = param(
        0.1,
        "kalman: spectral density of the acceleration of joints at rest relative to the root; more follows faster",
        unit="m²/s³",
        low=1e-3,
        high=1e4,
        live=True,
    )
    process_noise_rate: float = param(
        4.0,
        "kalman: rise of that density with the squared speed of a joint",
        unit="1/s",
        low=0.0,
        high=1e4,
        live=True,
    )
    root_process_noise: float = param(
        1.0, "kalman: the same density for the root", unit="m²/s³", low=1e-3, high=1e4, live=True
    )
    # From 6 to 20 the acceleration falls by 5 percent, no position changes by more than 0.1 mm; a swap of the legs is kept out.
    joint_gate: float = param(
        8.0,
        "kalman: standard deviations by which a joint may miss its prediction; 0: no refiner stops a joint that leaps",
        low=0.0,
        high=100.0,
        live=True,
    )

    min_cutoff_hz: float = param(
        2.0, "one_euro: cutoff of joints that stand still", unit="Hz", low=0.01, high=100.0, live=True
    )
    beta: float = param(
        10.0, "one_euro: rise of the cutoff with speed", unit="Hz per m/s", low=0.0, high=1000.0, live=True
    )
    root_min_cutoff_hz: float = param(
        1.0, "one_euro: cutoff of a root that stands still", unit="Hz", low=0.01, high=100.0, live=True
    )
    root_beta: float = param(
        3.0, "one_euro: the same rise for the root", unit="Hz per m/s", low=0.0, high=1000.0, live=True
    )
    d_cutoff_hz: float = param(
        1.0, "one_euro: cutoff of the speed itself", unit="Hz", low=0.01, high=100.0, live=True
    )

    # A quadratic over 11 frames leaves three quarters of white noise and two fifths of its acceleration, without lag at constant
    # acceleration; at 30 frames per second it reaches back a third of a second.
    savgol_window: int = param(
        11, "savitzky_golay: frames that a polynomial is fitted to", low=1, high=1000, live=True
    )
    savgol_order: int = param(2, "savitzky_golay: degree of the polynomial", low=0, high=5, live=True)
    # On lifted people 3 takes away 68 instead of 63 percent of the acceleration; on clean input it adds 3.6 instead of 2.7 mm.
    max_correction: float = param(
        2.0,
        "hpstm, smoothnet: standard deviations by which a network may move a joint that is seen; surer ones by less",
        low=0.0,
        high=100.0,
        live=True,
    )

    repair_swaps: bool = param(
        True, "exchange left and right where the stage before has swapped them", live=True
    )
    bone_lengths: bool = param(True, "hold bones at their learnt lengths", live=True)
    # On people of the validation set, 10 s each: 20, 30, 40 and 100 leave 0.9, 1.6, 2.0 and 3.0 mm of variation, and err by 84.2,
    # 84.05, 83.96 and 83.90 mm (raw: 84.06). The longer they are watched, the more poses they are known from.
    settle_observations: int = param(
        30,
        "observations (at most one every 45 ms) over which a bone's length must stand still",
        low=2,
        high=10000,
    )
    settle_change: float = param(
        0.02, "relative change of a length that counts as standing still", low=0.0, high=1.0
    )
    settle_spread: float = param(
        0.25, "relative spread of its observations above which a length never settles", low=0.0, high=10.0
    )
    symmetry: float = param(
        0.05, "relative difference of left and right up to which they share one length", low=0.0, high=1.0
    )
    blend_time: float = param(
        0.5, "time in which a settled bone passes to its exact length", unit="s", low=0.001, high=60.0
    )

    angles: bool = param(True, "publish joint angles", live=True)
    joint_states: bool = param(True, "publish the angles as sensor_msgs/JointState as well", live=True)
    angle_refinement: bool = param(
        False, "correct implausible angles by a network, none by more than its standard deviation", live=True
    )
