"""MOT and STO files: to the byte, read back, of OpenSim and SIMM, and files that nobody should believe."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core import files
from pose_core.formats.mot import filled, read_mot, write_mot
from pose_core.units import NS_PER_S

NAN = float("nan")

OURS = (
    "Coordinates\nversion=1\nnRows=2\nnColumns=3\ninDegrees=yes\n\nhip_flexion_r: 1 of 2 rows interpolated\n\nendheader\n"
    "time\thip_flexion_r\tpelvis_tx\n0.500000000\t30.250000\t-0.100000\n0.520000000\t-31.000000\t0.000000\n"
)
SIMM = (
    "first trial\t\t\nnRows=2\t\t\nnColumns=3\t\t\n\t\t\n# SIMM Motion File Header:\t\t\nname first trial\t\t\n"
    "datacolumns 3\t\t\ndatarows 2\t\t\notherdata 1\t\t\nrange 0.400000 1.600000\t\t\nendheader\t\t\n"
    "time\tpelvis_tilt\tmtp_angle_l\t\n0.4\t5.21211788\t0\t\n0.417\t5.19040076\t-1e-3\t\n"
)
OPENSIM = (
    "Coordinates\nversion=1\nnRows=2\nnColumns=3\ninDegrees=no\n\nUnits are S.I. units (second, meters, Newtons, ...)\n"
    "If the header above contains a line with 'inDegrees', this indicates whether rotational values are in degrees (yes) "
    "or radians (no).\n\nendheader\ntime\t/jointset/hip_r/hip_flexion_r/value\tb\n"
    "      0.00000000\t     10.5\t      nan\n      0.01000000\t     11.5\t      2.0\n"
)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "in.mot"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_to_the_byte(tmp_path: Path):
    columns = {"hip_flexion_r": np.array([30.25, -31.0]), "pelvis_tx": np.array([-0.1, -1e-9])}
    stamps = np.array([2_500_000_000, 2_520_000_000])
    notes = ["hip_flexion_r: 1 of 2 rows interpolated"]
    write_mot(tmp_path / "a.mot", stamps, columns, origin=2 * NS_PER_S, notes=notes)
    assert (tmp_path / "a.mot").read_text() == OURS


def test_our_own_with_notes_in_the_header(tmp_path: Path):
    motion = read_mot(write(tmp_path, OURS))
    assert (motion.name, motion.degrees) == ("Coordinates", True)
    np.testing.assert_array_equal(motion.stamps, [500_000_000, 520_000_000])
    assert list(motion.columns) == ["hip_flexion_r", "pelvis_tx"]
    np.testing.assert_array_equal(motion.columns["hip_flexion_r"], [30.25, -31.0])


def test_simm_whose_angles_are_degrees_without_saying(tmp_path: Path):
    motion = read_mot(write(tmp_path, SIMM.replace("\n", "\r\n")))
    assert (motion.name, motion.degrees) == ("first trial", True)
    np.testing.assert_array_equal(motion.stamps, [400_000_000, 417_000_000])
    np.testing.assert_array_equal(motion.columns["pelvis_tilt"], [5.21211788, 5.19040076])
    np.testing.assert_array_equal(motion.columns["mtp_angle_l"], [0.0, -0.001])


def test_opensim_in_radians_with_a_number_that_is_none(tmp_path: Path):
    motion = read_mot(write(tmp_path, OPENSIM))
    assert not motion.degrees
    np.testing.assert_array_equal(motion.columns["/jointset/hip_r/hip_flexion_r/value"], [10.5, 11.5])
    np.testing.assert_array_equal(motion.columns["b"], [NAN, 2.0])
    # without the line, OpenSim takes angles for radians
    assert not read_mot(write(tmp_path, OPENSIM.replace("inDegrees=no\n", ""))).degrees


@given(st.integers(1, 6), st.integers(1, 4), st.booleans(), st.integers(0, 2**60), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    count: int,
    degrees: bool,
    start: int,
    data: st.DataObject,
):
    steps = data.draw(st.lists(st.integers(1, 10**10), min_size=rows, max_size=rows))
    stamps = start + np.cumsum(steps)
    numbers = st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows)
    columns = {f"c{i}": np.array(data.draw(numbers)) for i in range(count)}
    path = tmp_path_factory.mktemp("mot") / "a.mot"
    write_mot(path, stamps, columns, degrees)
    motion = read_mot(path)
    assert motion.degrees == degrees
    np.testing.assert_array_equal(motion.stamps, stamps - stamps[0])
    assert list(motion.columns) == list(columns)
    for name, values in columns.items():
        np.testing.assert_allclose(motion.columns[name], values, rtol=1e-15, atol=5.1e-7)


def test_gaps_are_filled_in_time():
    stamps = np.array([0, 10, 20, 40, 50])
    columns = {
        "gap": np.array([0.0, NAN, NAN, 8.0, 9.0]),
        "ends": np.array([NAN, 1.0, 2.0, NAN, NAN]),
        "never": np.full(5, NAN),
    }
    full, counts = filled(stamps, columns)
    np.testing.assert_allclose(full["gap"], [0.0, 2.0, 4.0, 8.0, 9.0])
    np.testing.assert_array_equal(full["ends"], [1.0, 1.0, 2.0, 2.0, 2.0])
    assert counts == {"gap": 2, "ends": 3}
    assert "never" not in full


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no line says endheader"),
        (b"\x00\x01\xff" * 100, "no line says endheader"),
        ("a\n" * 5000 + "endheader\ntime\ta\n0\t1\n", "no line says endheader"),
        ("a\nendheader\n", "ends before the names of its columns"),
        ("a\nendheader\ntime\ta\n", "holds no row"),
        ("a\nendheader\nt\ta\n0\t1\n", "the first column must be time, got 't'"),
        ("a\nendheader\ntime\ta\ta\n0\t1\t2\n", "names a column twice"),
        (OURS.replace("nColumns=3", "nColumns=4"), "states 4 columns and names 3"),
        (OURS.replace("nRows=2", "nRows=3"), "states 3 rows and holds 2; it was cut short"),
        (OURS.replace("nRows=2", "nRows=999999999999"), "nRows: must be a whole number from 0"),
        (OURS.replace("nColumns=3", "nColumns=1e300"), "nColumns: must be a whole number from 0"),
        (OURS.replace("nColumns=3", "nColumns="), "'nothing' is no number"),
        (OURS + "1.0\t2.0\n", "has 2 fields, 3 are due"),
        (OURS.replace("-31.000000", "os.system"), "line 12: 'os.system' is no number"),
        (OURS.replace("-31.000000", "inf"), "line 12: 'inf' is no number"),
        (OURS.replace("0.520000000", "0.5"), "0.5 s comes after 0.5 s"),
        (OURS.replace("0.520000000", "nan"), "a row without a time"),
        (OURS.replace("0.520000000", "1e99"), "a row without a time"),
    ],
)
def test_what_is_no_such_file_says_why(tmp_path: Path, content: str | bytes, words: str):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match="in.mot") as raised:
        read_mot(path)
    assert words in str(raised.value)


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_damage_raises_nothing_but_value_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes):
    whole_file = SIMM.encode()
    place = len(noise) * 7 % len(whole_file)
    path = write(
        tmp_path_factory.mktemp("mot"), whole_file[:place] + noise + whole_file[place + len(noise) :]
    )
    with contextlib.suppress(ValueError):
        assert len(read_mot(path).stamps) > 0


@pytest.mark.parametrize(
    ("stamps", "columns", "options", "words"),
    [
        ([], {"a": np.zeros(0)}, {}, "got 0 frames, 1 columns"),
        ([0], {}, {}, "got 1 frames, 0 columns"),
        ([0, 0], {"a": np.zeros(2)}, {}, "stamps must increase"),
        ([0, 1], {"a": np.zeros(3)}, {}, r"column a must have shape \(2,\), got \(3,\)"),
        (
            [0, 1],
            {"a": np.array([0.0, NAN])},
            {},
            "column a has no number in row 1, after which OpenSim would stop",
        ),
        ([0, 1], {"a b": np.zeros(2)}, {}, "a name without blanks"),
        ([0, 1], {"": np.zeros(2)}, {}, "a name without blanks"),
        ([0, 1], {"time": np.zeros(2)}, {}, "other than time"),
        ([0, 1], {"a": np.zeros(2)}, {"name": "a\nb"}, "plain text"),
        ([0, 1], {"a": np.zeros(2)}, {"notes": ["nRows=5"]}, "plain text without ="),
        ([0, 1], {"a": np.zeros(2)}, {"notes": ["endheader"]}, "plain text"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, stamps, columns, options, words: str):
    with pytest.raises(ValueError, match=words):
        write_mot(tmp_path / "a.mot", np.array(stamps, np.int64), columns, **options)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_mot(tmp_path / "a.mot", np.array([0]), {"a": np.zeros(1)})
    assert not list(tmp_path.iterdir())
