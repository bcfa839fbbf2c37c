"""The CSV tables that `pose export` and `pose process` leave, read again: joint angles, markers, landmarks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from pose_biomechanics.isb import ANGLES, GROUPS
from pose_core.angles import AngleSequence
from pose_core.formats.text import expect_file
from pose_core.markers import MarkerSequence
from pose_core.people import JointState
from pose_core.reading.damage import damage_told
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.units import S_PER_NS

TIME = "time_s"
LAST_SECOND = 9e9
"""Seconds that stamps in nanoseconds can hold."""


def read_angle_tables(folder: Path) -> AngleSequence:
    """Angles from the tables that `pose export` and `pose process` leave, one for each group: the inverse of `write_angles`.

    Stamps are the tables' times in ns; the sequence of the pelvis is not stated, as tables do not. Raises ValueError for a folder
    without such a table, and for a table that is damaged or has other times than the others.
    """
    tables = {group: folder / f"{group}.csv" for group in GROUPS if (folder / f"{group}.csv").is_file()}
    if not tables:
        raise ValueError(f"{folder} holds neither a bag nor tables of joint angles such as {GROUPS[1]}.csv")
    columns: dict[str, np.ndarray] = {}
    for path in tables.values():
        table = _numbers_of(path)
        if TIME in columns and not np.array_equal(table[TIME], columns[TIME]):
            raise ValueError(f"{path} has other times than the tables beside it; export them again")
        columns |= table
    return _angles(columns)


def read_table(path: Path) -> AngleSequence | MarkerSequence | PoseSequence:
    """What one table holds: the angles of a group, markers, or landmarks in pixels. Stamps are its times in ns.

    Deviations are NaN but for angles. Raises FileNotFoundError, and ValueError for a damaged table and for another one.
    """
    columns = _numbers_of(path)
    if any(angle.column in columns for angle in ANGLES):
        return _angles(columns)
    markers = [name.removesuffix("_x_m") for name in columns if name.endswith("_x_m")]
    if not any(name.endswith("_x_px") for name in columns) and markers:
        xyz = [[columns.get(f"{name}_{axis}_m") for axis in "xyz"] for name in markers]
        if all(values is not None for marker in xyz for values in marker):
            places = np.array(xyz).transpose(2, 0, 1)
            return MarkerSequence(tuple(markers), _stamps(columns), places, np.full(places.shape[:2], np.nan))
    joints = tuple(name.removesuffix("_x_px") for name in columns if name.endswith("_x_px"))
    for skeleton in SKELETONS:
        if joints and joints == SKELETONS.get(skeleton).joints:
            return _landmarks(columns, skeleton)
    raise ValueError(
        f"{path} holds neither joint angles, nor markers, nor the landmarks of a known skeleton: "
        "it must be a table of pose export or pose process"
    )


def _landmarks(columns: dict[str, np.ndarray], skeleton: str) -> PoseSequence:
    joints, frames = SKELETONS.get(skeleton).joints, len(columns[TIME])
    xy_px = np.stack([np.stack([columns[f"{joint}_{axis}_px"] for axis in "xy"], -1) for joint in joints], 1)
    there = np.isfinite(xy_px).all(-1)
    confidence = np.stack([columns.get(f"{joint}_visibility", np.ones(frames)) for joint in joints], 1)
    confidence = np.where(there, np.nan_to_num(confidence), 0.0)
    return PoseSequence(
        skeleton=skeleton,
        stamps=_stamps(columns),
        xyz=np.where(there[..., None], xy_px, np.nan),
        confidence=confidence,
        std=np.full(there.shape, np.nan),
        root_std=np.full((frames, 2), np.nan),
        state=np.where(there, JointState.MEASURED, JointState.MISSING).astype(np.uint8),
        person_confidence=np.where(there.any(1), confidence.mean(1), np.nan),
    )


def _angles(columns: dict[str, np.ndarray]) -> AngleSequence:
    names = [angle for angle in ANGLES if angle.column in columns]
    stems = [angle.column.removesuffix("_deg") for angle in names]
    blank = np.full(len(columns[TIME]), np.nan)
    degrees = [columns[angle.column] for angle in names]
    std = [columns.get(f"{stem}_std_deg", blank) for stem in stems]
    flags = [
        np.nan_to_num(columns.get(f"{stem}_flags", blank)).clip(0, 255).astype(np.uint8) for stem in stems
    ]
    shape = (len(blank), len(names))
    return AngleSequence(
        tuple(angle.name for angle in names),
        _stamps(columns),
        np.radians(np.reshape(degrees, shape[::-1]).T),
        np.radians(np.reshape(std, shape[::-1]).T),
        np.reshape(flags, shape[::-1]).T,
    )


def _stamps(columns: dict[str, np.ndarray]) -> np.ndarray:
    stamps: np.ndarray = np.rint(columns[TIME] / S_PER_NS).astype(np.int64)
    return stamps


def _numbers_of(path: Path) -> dict[str, np.ndarray]:
    """(T,) numbers of each column; NaN for empty cells. Raises ValueError for what is no such table, with the line."""
    with damage_told(path, "is no table: {}"):
        return _columns(expect_file(path))


def _columns(path: Path) -> dict[str, np.ndarray]:
    # A byte order mark is what spreadsheets leave.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        try:
            head = next(rows, [])
            if TIME not in head or len(set(head)) != len(head):
                raise ValueError(f"{path} must begin with the names of its columns, {TIME} among them")
            cells = [_numbers(path, number, row, len(head)) for number, row in enumerate(rows, 2) if row]
        except csv.Error as error:
            raise ValueError(f"{path} is no table: {error}") from error
    if not cells:
        raise ValueError(f"{path} holds no row below the names of its columns")
    table = dict(zip(head, np.array(cells, float).T, strict=True))
    if not (np.abs(table[TIME]) < LAST_SECOND).all():
        raise ValueError(f"{path} has a row without a time")
    if (np.diff(table[TIME]) <= 0.0).any():
        raise ValueError(f"{path}: times must increase from row to row")
    return table


def _numbers(path: Path, line: int, row: list[str], count: int) -> list[float]:
    if len(row) != count:
        raise ValueError(f"{path}, line {line} has {len(row)} cells, the first line names {count} columns")
    try:
        return [float(cell) if cell.strip() else np.nan for cell in row]
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
