"""Every reader of files fed with damaged ones: `make fuzz`.

    .venv/bin/python scripts/fuzz.py [--seconds N] [--seed N] [READER ...]

Each reader runs in a process of its own, with its memory limited. A whole file is written, bytes in it are changed, cut out or
put in, and the reader either reads what is left or raises ValueError or OSError with one sentence. Whatever else it does is a
fault: the file is kept in out/fuzz/. The tests do the same to a few files (scripts/test/test_fuzz.py).
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pose_core.reading.damage import LONGEST_SENTENCE

MEMORY = 512 << 20
"""Bytes that a reader may take beyond what the process has when it begins."""
PATIENCE = 20
"""Seconds for one file, on a machine with other work."""
KEPT = Path("out/fuzz")


@dataclass(frozen=True)
class Change:
    """One change of a file: at `place`, a share of its length, `removed` bytes make room for `added`."""

    place: float
    removed: int
    added: bytes

    def of(self, content: bytes) -> bytes:
        at = int(self.place * len(content))
        return content[:at] + self.added + content[at + self.removed :]


def changed(content: bytes, changes: Iterable[Change]) -> bytes:
    for change in changes:
        content = change.of(content)
    return content


def some_changes(chance: random.Random) -> list[Change]:
    """One to four changes: bytes that become others, parts that are cut out, bytes that are put in."""
    found = []
    for _ in range(chance.randint(1, 4)):
        size = chance.choice((1, 1, 1, 2, 4, 8))
        added = chance.choice((chance.randbytes(size), b"\0" * size, b"\xff" * size, b"9" * size))
        removed = chance.choice((size, size, size, 0))
        # headers are short, and most of what can go wrong stands there
        place = chance.random() ** chance.choice((1, 4))
        if chance.random() < 0.15:
            removed, added = chance.choice((1 << 4, 1 << 10, 1 << 40)), b""
        found.append(Change(place, removed, added))
    return found


@dataclass(frozen=True)
class Reader:
    """What reads files, and a whole one to begin with."""

    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


class Fault(Exception):
    """A reader that did something else than to read or to refuse in one sentence."""


def judge(reader: Reader, path: Path) -> bool:
    """Whether the file was read; False where it was refused. Raises Fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except (ValueError, OSError) as error:
        said = str(error)
        if not said or len(said) > LONGEST_SENTENCE or "\n" in said:
            raise Fault(f"it says {len(said)} characters: {said[:400]!r}") from error
        return False
    except Exception as error:
        raise Fault("".join(traceback.format_exception(error)[-6:])) from error
    return True


def _walk(frames: int = 12) -> Any:
    from pose_core.sequence import PoseSequence

    chance = np.random.default_rng(0)
    return PoseSequence(
        skeleton="coco17",
        stamps=np.arange(frames) * 33_333_333 + 10**9,
        xyz=chance.normal(size=(frames, 17, 3)),
        confidence=np.full((frames, 17), 0.9),
        std=np.full((frames, 17), 0.02),
        root_std=np.full((frames, 3), 0.05),
        state=np.ones((frames, 17), np.uint8),
        person_confidence=np.ones(frames),
        metadata={"height": 1.8},
    )


def _markers() -> Any:
    from pose_core.markers import MarkerSequence

    walk = _walk()
    names = tuple(f"M{number}" for number in range(17))
    return MarkerSequence(names, walk.stamps, walk.xyz, walk.std)


def _read_sequence(path: Path) -> object:
    from pose_core.sequence import PoseSequence

    return PoseSequence.load(path)


def _read_recording(path: Path) -> object:
    from pose_tools.files.refine import read

    return read(path, "coco17", 30.0)


def _read_member(path: Path) -> object:
    """The file as a member of an archive whose sums are right, so that they do not hide what is wrong in it."""
    whole = path.with_suffix(".npz")
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("xyz.npy", path.read_bytes())
    return _read_recording(whole)


def _write_pack(path: Path) -> None:
    from pose_train.data import mocap

    chance = np.random.default_rng(0)
    xyz = chance.normal(0.0, 0.2, (9, len(mocap.JOINTS), 3)).astype(np.float32)
    turns = np.broadcast_to(np.float32([1.0, 0.0, 0.0, 0.0]), (9, len(mocap.SEGMENTS), 4)).copy()
    mocap.write(path, mocap.Pack(60.0, (mocap.Motion("walk", "01", xyz, turns),)))


def _read_pack(path: Path) -> object:
    from pose_train.data import mocap

    return mocap.read(path)


def _write_pickle(path: Path) -> None:
    import pickle

    content = {"xyz": np.arange(60.0).reshape(5, 4, 3), "name": "walk", "rows": [[1, 2.5, None]] * 4}
    path.write_bytes(pickle.dumps(content, protocol=2))


def _read_pickle(path: Path) -> object:
    from pose_train.data.datasets.archive import read_pickle

    return read_pickle(path)


def _write_c3d(path: Path) -> None:
    from pose_core.formats.c3d import write_c3d

    write_c3d(path, _markers())


def _read_c3d(path: Path) -> object:
    from pose_core.formats.c3d import read_c3d

    return read_c3d(path)


def _write_trc(path: Path) -> None:
    from pose_core.formats.trc import write_trc

    write_trc(path, _markers())


def _read_trc(path: Path) -> object:
    from pose_core.formats.trc import read_trc

    return read_trc(path)


def _write_mot(path: Path) -> None:
    from pose_core.formats.mot import write_mot

    walk = _walk()
    write_mot(path, walk.stamps, {"knee_angle_r": walk.xyz[:, 0, 0], "knee_angle_l": walk.xyz[:, 0, 1]})


def _read_mot(path: Path) -> object:
    from pose_core.formats.mot import read_mot

    return read_mot(path)


def _write_table(path: Path) -> None:
    from pose_core.formats.csv_file import write_table

    walk = _walk()
    columns = {"time_s": walk.stamps / 1e9}
    columns |= {f"RHip_{axis}_m": walk.xyz[:, 0, i] for i, axis in enumerate("xyz")}
    write_table(path, columns)


def _read_table(path: Path) -> object:
    from pose_tools.files.tables import read_table

    return read_table(path)


def _write_camera(path: Path) -> None:
    from pose_core.geometry.calibration import write_camera_yaml
    from pose_core.geometry.camera import Camera

    matrix = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    write_camera_yaml(path, Camera(640, 480, matrix, np.array([0.1, -0.2, 1e-3, -1e-3, 0.05])))


def _write_qualisys(path: Path) -> None:
    turn = " ".join(f'r{row}{column}="{float(row == column)}"' for row in (1, 2, 3) for column in (1, 2, 3))
    path.write_text(
        '<?xml version="1.0"?><calibration><cameras><camera serial="cam1">'
        '<fov_video left="0" top="0" right="1919" bottom="1079"/>'
        f'<transform x="100.0" y="-200.0" z="1500.0" {turn}/>'
        '<intrinsic focalLengthU="100000.0" focalLengthV="100000.0" centerPointU="61440.0" centerPointV="34560.0" skew="0" '
        'radialDistortion1="0.1" radialDistortion2="0.0" radialDistortion3="0.0" '
        'tangentalDistortion1="0.0" tangentalDistortion2="0.0"/>'
        "</camera></cameras></calibration>\n"
    )


def _read_camera(path: Path) -> object:
    from pose_core.geometry.calibration import read_camera

    return read_camera(path)


def _write_network(path: Path) -> None:
    from importlib import resources

    path.write_bytes(resources.files("refine_node").joinpath("weights/smoothnet.onnx").read_bytes())


def _read_network(path: Path) -> object:
    from pose_core.networks import onnx_file
    from refine_node.model_card import RefinerCard

    return onnx_file.read(path, RefinerCard)


def _write_bag(path: Path) -> None:
    from pose_ros.messages import names
    from pose_tools.bag.topics import Topic
    from pose_tools.bag.writer import BagWriter

    folder = path.with_suffix("")
    with BagWriter(folder, [Topic("/a", names.PEOPLE2D), Topic("/b", names.PEOPLE3D)]) as bag:
        for number in range(6):
            stamp = (10 + number).to_bytes(4, "little") + bytes(4)
            # a header of no frame, then as many zeros as either message needs to hold nobody
            bag.write(("/a", "/b")[number % 2], b"\0\1\0\0" + stamp + (1).to_bytes(4, "little") + bytes(60))
    (folder / f"{folder.name}_0.mcap").rename(path)


def _write_foreign_bag(path: Path) -> None:
    """Of another recorder: chunks are compressed in MCAP."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from pose_ros.messages import names
    from pose_tools.bag.definitions import store

    folder = path.with_suffix(".folder")
    plugin = StoragePlugin.MCAP if path.suffix == ".mcap" else StoragePlugin.SQLITE3
    writer = Writer(folder, version=8, storage_plugin=plugin)
    if plugin is StoragePlugin.MCAP:
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/a", names.PEOPLE2D, typestore=store())
        for number in range(6):
            stamp = (10 + number).to_bytes(4, "little") + bytes(4)
            writer.write(connection, number, b"\0\1\0\0" + stamp + (1).to_bytes(4, "little") + bytes(60))
    (file,) = folder.glob(f"*{path.suffix}")
    file.rename(path)
    shutil.rmtree(folder)


def _read_bag(path: Path) -> object:
    from pose_tools.bag.reader import read

    for message in read(path):
        try:
            message.decode()
        except ValueError:
            continue
    return path


def _recover_bag(path: Path) -> object:
    from pose_tools.bag.recovery import recover

    with tempfile.TemporaryDirectory() as folder:
        return recover(path, Path(folder) / "whole")


def _write_image(path: Path) -> None:
    import cv2

    rows, columns = np.mgrid[0:24, 0:32]
    cv2.imwrite(str(path), np.stack([8 * columns, 10 * rows, 255 - 4 * columns], -1).astype(np.uint8))


def _read_image(path: Path) -> object:
    """As in a folder, where None is a file that was left out."""
    from pose2d_node.sources import read_image

    if read_image(path) is None:
        raise ValueError("left out")
    return path


def _read_message(path: Path) -> object:
    from pose_ros.messages.images import compressed_from_msg

    return compressed_from_msg(SimpleNamespace(data=path.read_bytes(), format=path.suffix))


READERS = {
    "sequence": Reader(".npz", lambda path: _walk().save(path), _read_sequence),
    "npy": Reader(".npy", lambda path: np.save(path, _walk().xyz), _read_recording),
    "npz_member": Reader(".npy", lambda path: np.save(path, _walk().xyz), _read_member),
    "motion_capture": Reader(".npz", _write_pack, _read_pack),
    "pickle": Reader(".pkl", _write_pickle, _read_pickle),
    "c3d": Reader(".c3d", _write_c3d, _read_c3d),
    "trc": Reader(".trc", _write_trc, _read_trc),
    "mot": Reader(".mot", _write_mot, _read_mot),
    "csv": Reader(".csv", _write_table, _read_table),
    "camera_yaml": Reader(".yaml", _write_camera, _read_camera),
    "qualisys": Reader(".txt", _write_qualisys, _read_camera),
    "onnx": Reader(".onnx", _write_network, _read_network),
    "bag": Reader(".mcap", _write_bag, _read_bag),
    "bag_compressed": Reader(".mcap", _write_foreign_bag, _read_bag),
    "bag_sqlite": Reader(".db3", _write_foreign_bag, _read_bag),
    "bag_recover": Reader(".mcap", _write_bag, _recover_bag),
    **{
        f"image_{kind}": Reader(f".{kind}", _write_image, _read_image)
        for kind in ("bmp", "jpg", "png", "tif", "webp")
    },
    **{f"message_{kind}": Reader(f".{kind}", _write_image, _read_message) for kind in ("jpg", "png")},
}
"""Every reader of files that somebody else may have written."""


def _limit_memory() -> None:
    """Where the system can: what is asked for beyond the limit raises MemoryError."""
    try:
        import resource
    except ImportError:  # Windows
        return
    held = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if sys.platform == "linux"
        else 0
    )
    if held:
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))


def _peak_mb() -> float:
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _too_late(*_: object) -> None:
    raise Fault(f"it takes more than {PATIENCE} s")


def run(name: str, seconds: float, seed: int) -> int:
    """Feed one reader in this process, and print what became of the files; the number of faults."""
    reader, chance = READERS[name], random.Random(f"{name} {seed}")
    read = refused = faults = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{reader.suffix}"
        reader.write(path)
        whole = path.read_bytes()
        if not judge(reader, path):
            raise SystemExit(f"{name} refuses a whole file")
        before = _peak_mb()
        _limit_memory()
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _too_late)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            content = changed(whole, some_changes(chance))
            path.write_bytes(content)
            if hasattr(signal, "alarm"):
                signal.alarm(PATIENCE)
            try:
                good = judge(reader, path)
                read, refused = read + good, refused + (not good)
            except Fault as fault:
                faults += 1
                KEPT.mkdir(parents=True, exist_ok=True)
                kept = KEPT / f"{name}_{faults}{reader.suffix}"
                kept.write_bytes(content)
                print(f"{name}: {kept}: {fault}")
            finally:
                if hasattr(signal, "alarm"):
                    signal.alarm(0)
    total = read + refused + faults
    print(
        f"{name:15} {total:7} files: {read:6} read, {refused:6} refused, {faults:4} faults; "
        f"{_peak_mb() - before:5.0f} MB at most",
        flush=True,
    )
    return faults


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 where a reader is at fault or died."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=float, default=30.0, help="for each reader (30)")
    parser.add_argument("--seed", type=int, default=0, help="other files for another number")
    parser.add_argument("--here", action="store_true", help="in this process")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.readers if name not in READERS]
    if unknown:
        parser.error(f"there is no reader {', '.join(unknown)}; there are {', '.join(READERS)}")
    faults = 0
    for name in chosen.readers or READERS:
        if chosen.here:
            faults += run(name, chosen.seconds, chosen.seed)
            continue
        command = [
            sys.executable,
            __file__,
            "--here",
            "--seconds",
            str(chosen.seconds),
            "--seed",
            str(chosen.seed),
            name,
        ]
        # libraries of images also write whatever they find wrong with one
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, errors="replace")
        status = done.returncode
        if status not in (0, 1):
            print(f"{name} died with status {status}: {done.stderr[-2000:]}", flush=True)
        faults += status != 0
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
