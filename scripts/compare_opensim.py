#!/usr/bin/env python3
"""Compare joint angles of this pipeline with those of OpenSim's inverse kinematics, from one TRC file.

Runs in an environment of its own, because OpenSim needs a newer NumPy than ROS 2 has:

    python3.11 -m venv out/opensim_env && out/opensim_env/bin/pip install opensim
    PYTHONPATH=src/pose_core:src/refine_node out/opensim_env/bin/python scripts/compare_opensim.py compare \
        --model Model_Pose2Sim_simple.osim --marker-set Markers_LSTM.xml --scaling Scaling_Setup_Pose2Sim_LSTM.xml \
        --tasks IK_Setup_Pose2Sim_withHands_LSTM.xml --trc walk_final.trc --angles joint_angles --out out/opensim

The model, its markers and the setups are those of the Pose2Sim wheel (folder OpenSim_Setup), or any others that belong
together. `conventions` asks another question: whether `pose_train.studies.segment_chain`, against which angles are tested,
turns its segments as OpenSim turns those of a model such as Rajagopal2016.osim.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import opensim

from pose_biomechanics.isb import ANGLES
from pose_core.formats.mot import read_mot
from pose_core.formats.trc import read_trc

SAME = {
    "lumbar_extension": "L5_S1_Flex_Ext",
    "lumbar_bending": "L5_S1_Lat_Bending",
    "lumbar_rotation": "L5_S1_axial_rotation",
}
"""Coordinates that Pose2Sim's models call otherwise than Rajagopal's."""
BODIES = {
    "pelvis": "pelvis",
    "torso": "thorax",
    **{f"{body}_{side[0]}": f"{side}_{body}" for side in ("right", "left") for body in ("femur", "humerus")},
}
"""Bodies of a model whose turns are free, and the segments of our chain."""
POSES = 50
SAME_TIME = 0.005
"""Seconds between a row of one file and of the other that are of one frame."""
EXACT_DEG = 1e-3


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    compared = commands.add_parser("compare", help="inverse kinematics of a TRC file against our angles")
    for name, text in (
        ("model", "OpenSim model"),
        ("marker-set", "markers on it"),
        ("scaling", "setup of the scaling tool, whose measurements are used"),
        ("tasks", "setup of inverse kinematics, whose weights are used"),
        ("trc", "markers as written by `pose process` or `pose export`"),
        ("angles", "our angles of these frames: a folder of tables, the pelvis in ZXY, or a MOT file"),
        ("out", "folder for the scaled model and OpenSim's angles"),
    ):
        compared.add_argument(f"--{name}", type=absolute, required=True, help=text)
    compared.add_argument("--mass", type=float, default=70.0, help="kilograms")
    checked = commands.add_parser("conventions", help="our chain of segments against a model")
    checked.add_argument("--model", type=absolute, required=True)
    given = parser.parse_args(arguments)
    opensim.Logger.setLevelString("Error")
    if given.command == "conventions":
        return conventions(given.model)
    given.out.mkdir(parents=True, exist_ok=True)
    model = scaled(given.model, given.marker_set, given.scaling, given.trc, given.mass, given.out)
    theirs, misses = inverse_kinematics(model, given.tasks, given.trc, given.out)
    print(
        f"The scaled model's markers miss those of {given.trc.name} by {misses:.1f} mm (root mean square).\n"
    )
    print(table(*coordinates(given.angles), *theirs))
    return 0


def absolute(text: str) -> Path:
    """A path as OpenSim needs it: its tools look for files beside their setups."""
    return Path(text).resolve()


def coordinates(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Times (T,) in seconds, and our angles in degrees by the names and with the signs of OpenSim's coordinates."""
    if path.is_file():
        motion = read_mot(path)
        return motion.stamps * 1e-9, motion.columns
    found: dict[str, np.ndarray] = {}
    times = np.zeros(0)
    for file in sorted(path.glob("*.csv")):
        with file.open(newline="") as stream:
            header, *rows = csv.reader(stream)
        values = np.array([[float(cell or "nan") for cell in row] for row in rows])
        times = values[:, header.index("time_s")]
        for angle in ANGLES:
            if angle.opensim is not None and angle.column in header:
                coordinate, factor = angle.opensim
                found[coordinate] = factor * values[:, header.index(angle.column)]
    if not found:
        raise SystemExit(f"{path} is neither a MOT file nor a folder with tables of joint angles")
    order = [angle.opensim[0] for angle in ANGLES if angle.opensim is not None]
    return times, {name: found[name] for name in order if name in found}


def scaled(model: Path, marker_set: Path, setup: Path, trc: Path, mass: float, out: Path) -> Path:
    """The model scaled by the measurements of `setup` whose markers all are in the TRC file, as a file in `out`."""
    tool = opensim.ScaleTool(str(setup))
    tool.setPathToSubject("")
    tool.setSubjectMass(mass)
    tool.getGenericModelMaker().setModelFileName(str(model))
    tool.getGenericModelMaker().setMarkerSetFileName(str(marker_set))
    names = set(read_trc(trc).names)
    scaler = tool.getModelScaler()
    measurements = scaler.getMeasurementSet()
    for i in range(measurements.getSize()):
        pairs = measurements.get(i).getMarkerPairSet()
        present = [
            {pairs.get(k).getMarkerName(end) for end in (0, 1)} <= names for k in range(pairs.getSize())
        ]
        for k in range(len(present) - 1, -1, -1):
            if not present[k]:
                pairs.remove(k)
        measurements.get(i).setApply(any(present))
    scaler.setApply(True)
    scaler.setMarkerFileName(str(trc))
    scaler.setTimeRange(_whole(trc))
    # Without scaling order the tool does nothing.
    order = opensim.ArrayStr()
    order.append("measurements")
    scaler.setScalingOrder(order)
    result = out / "scaled.osim"
    scaler.setOutputModelFileName(str(result))
    tool.getMarkerPlacer().setApply(False)
    made = tool.createModel()
    if not scaler.processModel(made, "", mass):
        raise SystemExit(f"OpenSim could not scale {model} by {setup}")
    made.printToXML(str(result))
    return result


def inverse_kinematics(
    model: Path, setup: Path, trc: Path, out: Path
) -> tuple[tuple[np.ndarray, dict[str, np.ndarray]], float]:
    """Times in seconds and coordinates in degrees, and by how many millimetres the markers miss (root mean square)."""
    motion = out / "opensim.mot"
    tool = opensim.InverseKinematicsTool(str(setup), False)
    loaded = opensim.Model(str(model))
    tool.setModel(loaded)
    tool.setMarkerDataFileName(str(trc))
    times = _whole(trc)
    tool.setStartTime(times.get(0))
    tool.setEndTime(times.get(1))
    names = set(read_trc(trc).names)
    tasks = tool.getIKTaskSet()
    for i in range(tasks.getSize()):
        task = tasks.get(i)
        if opensim.IKMarkerTask.safeDownCast(task) is not None and task.getName() not in names:
            task.setApply(False)
    tool.setOutputMotionFileName(str(motion))
    tool.set_report_errors(True)
    tool.setResultsDir(str(out))
    try:
        tool.run()
    except RuntimeError as error:
        raise SystemExit(f"OpenSim's inverse kinematics of {trc} failed: {error}") from error
    errors = sorted(out.glob("*ik_marker_errors.sto"), key=lambda file: file.stat().st_mtime)
    misses = float("nan")
    if errors:
        misses = 1e3 * float(np.sqrt(np.mean(read_mot(errors[-1]).columns["marker_error_RMS"] ** 2)))
    solved = read_mot(motion)
    return (solved.stamps * 1e-9, solved.columns), misses


def table(
    our_times: np.ndarray, ours: dict[str, np.ndarray], their_times: np.ndarray, theirs: dict[str, np.ndarray]
) -> str:
    """Mean absolute differences in degrees over the frames that both have, with and without the constant offset: Markdown."""
    nearest = np.abs(our_times[:, None] - their_times).argmin(1)
    same = np.abs(our_times - their_times[nearest]) < SAME_TIME
    lines = [
        "| coordinate | moves by | error | without offset | offset |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, mine in ours.items():
        other = theirs.get(name, theirs.get(SAME.get(name, "")))
        if other is None or name in ("pelvis_tx", "pelvis_ty", "pelvis_tz"):
            continue
        other = other[nearest[same]]
        difference = np.mod(mine[same] - other + 180.0, 360.0) - 180.0
        known = np.isfinite(difference)
        if not known.any():
            continue
        some = difference[known]
        offset = float(np.degrees(np.angle(np.exp(1j * np.radians(some)).mean())))
        rest = np.abs(np.mod(some - offset + 180.0, 360.0) - 180.0).mean()
        cells = (np.ptp(other[known]), np.abs(some).mean(), rest, offset)
        lines.append(f"| `{name}` | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    return "\n".join(lines)


def conventions(model: Path) -> int:
    """Print by how much our chain turns its segments otherwise than a model does; 1 where it is more than rounding."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src" / "pose_train"))
    from pose_train.studies import segment_chain

    loaded = opensim.Model(str(model))
    state = loaded.initSystem()
    coordinates = loaded.getCoordinateSet()
    random = np.random.default_rng(0)
    worst = dict.fromkeys(BODIES, 0.0)
    names = [coordinates.get(i).getName() for i in range(coordinates.getSize())]
    for _ in range(POSES):
        values = {
            name: random.uniform(*segment_chain.RANGES[name])
            for name in names
            if name in segment_chain.RANGES
        }
        for name, value in values.items():
            coordinate = coordinates.get(name)
            coordinate.setLocked(state, False)
            coordinate.setClamped(state, False)
            coordinate.setValue(state, np.radians(value), False)
        loaded.realizePosition(state)
        placed = segment_chain.place(values)
        for body, segment in BODIES.items():
            turn = _rotation(loaded, state, body).T @ placed.rotation[segment]
            apart = np.degrees(np.arccos(np.clip((np.trace(turn) - 1.0) / 2.0, -1.0, 1.0)))
            worst[body] = max(worst[body], float(apart))
    for body, apart in worst.items():
        print(f"{body:10s} {apart:.6f} degrees")
    return int(max(worst.values()) > EXACT_DEG)


def _rotation(model: Any, state: Any, body: str) -> np.ndarray:
    matrix = model.getBodySet().get(body).getTransformInGround(state).R()
    return np.array([[matrix.get(i, k) for k in range(3)] for i in range(3)])


def _whole(trc: Path) -> Any:
    """First and last time of a TRC file, as OpenSim wants it."""
    stamps = read_trc(trc).stamps
    times = opensim.ArrayDouble(0.0, 2)
    times.set(0, float(stamps[0]) * 1e-9)
    times.set(1, float(stamps[-1]) * 1e-9)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
