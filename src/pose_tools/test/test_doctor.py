"""The doctor: every check finds what was broken on purpose, and says what to type."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from pose_msgs.msg import People2D, People3D
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from pose_core import assets
from pose_ros.qos import IMAGES, LATCHED, RESULTS
from pose_ros.testing import executing, spin_until
from pose_tools.doctor import finding, machine, report
from pose_tools.doctor import graph as doctor_graph
from pose_tools.doctor import ros as doctor_ros
from pose_tools.doctor.finding import FAIL, OK, SKIPPED, WARN, Check, Probe, as_dict, exit_code, run
from pose_tools.doctor.graph import (
    Visit,
    camera_info,
    diagnostics,
    image_size,
    judge_camera_info,
    qos,
    stages,
)


def answers(**outputs: Probe | str) -> Callable[..., Probe]:
    """A `probe` that answers by the first word of `outputs` that its code holds; a text is a good answer."""

    def probe(code: str, *arguments: str) -> Probe:
        for word, answer in outputs.items():
            if word in code:
                return answer if isinstance(answer, Probe) else Probe(0, answer, "")
        raise AssertionError(f"unexpected probe: {code}")

    return probe


def broken(why: str) -> Probe:
    return Probe(1, "", why)


def only(found: list[Check], level: str) -> Check:
    """The one finding, which must be of that level and, when bad, have a remedy."""
    (check,) = found
    assert check.level == level, check
    assert bool(check.remedy) == (level in (WARN, FAIL))
    return check


# --- the findings themselves ---


def test_a_failure_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="check 'x' needs a remedy"):
        Check("x", FAIL, "broken")


def test_run_exit_code_and_json() -> None:
    good, bad = Check("a", OK, "fine"), Check("b", FAIL, "broken", "mend it")
    found = run([lambda: [good], list, lambda: [bad, good]])
    assert found == [good, bad, good]
    assert (exit_code(found), exit_code([good, Check("c", WARN, "odd", "look")]), exit_code([])) == (1, 0, 0)
    assert json.loads(json.dumps(as_dict(found)))["checks"][1] == {
        "name": "b",
        "level": "fail",
        "detail": "broken",
        "remedy": "mend it",
    }
    assert as_dict(found)["ok"] is False


def test_report_prints_the_remedies_and_the_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Check("rclpy", FAIL, "does not import", "source it")
    monkeypatch.setattr(report, "checks", lambda **_: [lambda: [bad, Check("disk", OK, "much")]])
    assert report.report_and_exit_code(cameras=False, graph=True, as_json=True) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == as_dict([bad, Check("disk", OK, "much")])
    assert "fail  rclpy: does not import\n         source it\n" in err
    assert "1 ok, 1 fail" in err


# --- probes ---


def test_probe_survives_a_crash_and_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding.probe("import sys; print('first'); print(sys.argv[1])", "last") == Probe(
        0, "last", "exit code 0"
    )
    assert finding.probe("raise ImportError('gone')") == Probe(1, "", "ImportError: gone")
    assert finding.probe("import os; os.abort()").err == "exit code -6"
    monkeypatch.setattr(finding, "PROBE_S", 0.2)
    assert finding.probe("import time; time.sleep(60)") == Probe(-1, "", "no answer within 0 s")


# --- this machine ---


@pytest.mark.parametrize(
    ("version", "level"), [((3, 9), FAIL), ((3, 10), OK), ((3, 12), OK), ((3, 13), FAIL)]
)
def test_python(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], level: str) -> None:
    monkeypatch.setattr(machine, "sys", SimpleNamespace(version_info=(*version, 1)))
    assert f"{version[0]}.{version[1]}" in only(machine.python(), level).detail


def test_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "probe", answers(numpy="1.26.4"))
    assert only(machine.numpy(), OK).detail == "1.26.4"
    monkeypatch.setattr(machine, "probe", answers(numpy="2.1.0"))
    assert only(machine.numpy(), FAIL).remedy == 'pip install "numpy<2"'
    monkeypatch.setattr(machine, "probe", answers(numpy=broken("ModuleNotFoundError: no numpy")))
    assert "no numpy" in only(machine.numpy(), FAIL).detail


def test_without_ros_newer_pythons_and_numpys_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_ros", lambda: False)
    monkeypatch.setattr(machine, "sys", SimpleNamespace(version_info=(3, 13, 0)))
    only(machine.python(), OK)
    monkeypatch.setattr(machine, "sys", SimpleNamespace(version_info=(3, 14, 0)))
    assert "python3.13 -m pip install" in only(machine.python(), FAIL).remedy
    monkeypatch.setattr(machine, "probe", answers(numpy="2.3.1"))
    only(machine.numpy(), OK)
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    assert machine.models()[0].level == WARN, "pose process fetches it"
    (tmp_path / machine.MODEL).write_bytes(b"not a model")
    assert machine.models()[0].level == FAIL


def test_without_ros_its_checks_are_skipped_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with_ros = len(report.checks())
    monkeypatch.setattr(report, "has_ros", lambda: False)
    without = report.checks()
    assert len(without) == with_ros - 5
    (skipped,) = without[5]()
    assert (skipped.name, skipped.level) == ("ROS 2", SKIPPED)
    assert "pose live" in skipped.detail


def test_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed", lambda prefix: ["opencv-contrib-python"])
    monkeypatch.setattr(machine, "probe", answers(cv2="4.11.0"))
    only(machine.opencv(), OK)
    monkeypatch.setattr(machine, "probe", answers(cv2="5.0.0"))
    assert "too new" in only(machine.opencv(), FAIL).detail
    monkeypatch.setattr(machine, "probe", answers(cv2="4.11.0"))
    monkeypatch.setattr(machine, "installed", lambda prefix: ["opencv-contrib-python", "opencv-python"])
    assert only(machine.opencv()[1:], WARN).remedy.startswith(
        "pip uninstall -y opencv-contrib-python opencv-python && "
    )


@pytest.mark.parametrize(
    ("distro", "remedy"), [("jazzy", "sudo apt install ros-jazzy-cv-bridge"), ("", "pip install cv-bridge")]
)
def test_cv_bridge(monkeypatch: pytest.MonkeyPatch, distro: str, remedy: str) -> None:
    monkeypatch.setenv("ROS_DISTRO", distro)
    monkeypatch.setattr(doctor_ros, "probe", answers(cv_bridge=""))
    only(doctor_ros.cv_bridge(), OK)
    monkeypatch.setattr(
        doctor_ros, "probe", answers(cv_bridge=broken("AttributeError: _ARRAY_API not found"))
    )
    check = only(doctor_ros.cv_bridge(), FAIL)
    assert "_ARRAY_API" in check.detail
    assert check.remedy.startswith(remedy)


def test_cv_bridge_that_swaps_colours_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv_bridge.py").write_text(
        "class CvBridge:\n"
        "    def cv2_to_imgmsg(self, image, encoding): return image\n"
        "    def imgmsg_to_cv2(self, message, encoding): return message\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert "colours came back wrong" in only(doctor_ros.cv_bridge(), FAIL).detail


def test_models_missing_and_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    found = {check.name: check for check in machine.models()}
    assert (found[machine.MODEL].level, found[machine.MODEL].remedy) == (FAIL, f"pose fetch {machine.MODEL}")
    assert found["Demo_SinglePerson/videos/cam01.mp4"].level == WARN
    assert "pose_landmarker_heavy.task" not in found, "nobody asked for it"
    (tmp_path / machine.MODEL).write_bytes(b"not a model")
    (tmp_path / "pose_landmarker_heavy.task").write_bytes(b"half a model")
    found = {check.name: check for check in machine.models()}
    assert "SHA-256" in found[machine.MODEL].detail
    assert found["pose_landmarker_heavy.task"].level == FAIL


def test_models_present(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assets, "verify", lambda name: tmp_path / name)
    monkeypatch.setattr(assets, "path", lambda name: tmp_path)
    assert {check.level for check in machine.models()} == {OK}


def test_mediapipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    only(machine.mediapipe(), SKIPPED)
    (tmp_path / machine.MODEL).write_bytes(b"x")
    monkeypatch.setattr(machine, "probe", answers(mediapipe="1.2.2"))
    assert only(machine.mediapipe(), OK).detail.startswith("1.2.2 opens")
    monkeypatch.setattr(machine, "probe", answers(mediapipe=broken("OSError: libGLESv2.so.2: cannot open")))
    assert only(machine.mediapipe(), FAIL).remedy == "sudo apt install libgles2 libegl1 libgl1"
    monkeypatch.setattr(
        machine, "probe", answers(mediapipe=broken("ModuleNotFoundError: No module named 'mediapipe'"))
    )
    assert "pip install" in only(machine.mediapipe(), FAIL).remedy


def test_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    monkeypatch.setattr(doctor_ros, "probe", answers(pose_msgs="", create_node="rmw_fastrtps_cpp", rclpy=""))
    assert [(check.name, check.level) for check in doctor_ros.ros()] == [
        ("rclpy", OK),
        ("rmw", OK),
        ("pose_msgs", OK),
    ]
    bad = broken("no rmw")
    monkeypatch.setattr(doctor_ros, "probe", answers(pose_msgs=bad, create_node=bad, rclpy=""))
    rmw, messages = doctor_ros.ros()[1:]
    assert (
        only([rmw], FAIL).remedy
        == "unset RMW_IMPLEMENTATION, or: sudo apt install ros-kilted-rmw-cyclonedds-cpp"
    )
    assert "colcon build" in only([messages], FAIL).remedy
    monkeypatch.setattr(doctor_ros, "probe", answers(rclpy=broken("ModuleNotFoundError")))
    assert "source /opt/ros/kilted/setup.bash" in only(doctor_ros.ros(), FAIL).remedy


def test_an_rmw_that_is_not_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real probe."""
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_nowhere_cpp")
    assert "rmw_nowhere_cpp" in only([doctor_ros._rmw()], FAIL).detail


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("", OK),
        ("0", OK),
        ("101", OK),
        ("102", WARN),
        ("232", WARN),
        ("233", FAIL),
        ("-1", FAIL),
        ("home", FAIL),
    ],
)
def test_domain(monkeypatch: pytest.MonkeyPatch, value: str, level: str) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    only(doctor_ros.discovery()[:1], level)


@pytest.mark.parametrize(
    ("chosen", "localhost", "level"),
    [
        ("", "", OK),
        ("SUBNET", "0", OK),
        ("LOCALHOST", "", OK),
        ("OFF", "", WARN),
        ("", "1", WARN),
        ("subnet", "", FAIL),
    ],
)
def test_discovery_range(monkeypatch: pytest.MonkeyPatch, chosen: str, localhost: str, level: str) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", chosen)
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", localhost)
    only(doctor_ros.discovery()[1:], level)


def test_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--source" in only(doctor_ros.cameras(devices=tmp_path), WARN).remedy
    for name in ("video10", "video2", "videodev"):
        (tmp_path / name).touch()
    assert [check.name for check in doctor_ros.cameras(devices=tmp_path)] == [
        str(tmp_path / n) for n in ("video2", "video10")
    ]
    monkeypatch.setattr(doctor_ros, "probe", answers(VideoCapture=broken("AssertionError: no image")))
    assert {check.level for check in doctor_ros.cameras(devices=tmp_path, open_them=True)} == {WARN}
    good = {"2": Probe(0, "(480, 640, 3)", ""), "10": broken("AssertionError: no image")}
    monkeypatch.setattr(doctor_ros, "probe", lambda code, index: good[index])
    first, second = doctor_ros.cameras(devices=tmp_path, open_them=True)
    assert "(480, 640, 3)" in only([first], OK).detail
    assert second.level == SKIPPED, "the second device of a webcam gives no images and need not"
    monkeypatch.setattr(os, "access", lambda file, mode: False)
    assert "usermod -aG video" in doctor_ros.cameras(devices=tmp_path)[0].remedy


def test_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed", lambda prefix: ["onnxruntime"])
    monkeypatch.setattr(machine, "probe", answers(onnxruntime="CPUExecutionProvider"))
    assert [check.level for check in machine.gpu(devices=tmp_path)] == [OK, OK]
    (tmp_path / "nvidia0").touch()
    check = only(machine.gpu(devices=tmp_path)[1:], WARN)
    assert check.remedy == "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
    monkeypatch.setattr(machine, "probe", answers(onnxruntime="CUDAExecutionProvider CPUExecutionProvider"))
    only(machine.gpu(devices=tmp_path)[1:], OK)
    monkeypatch.setattr(machine, "installed", lambda prefix: ["onnxruntime", "onnxruntime-gpu"])
    assert "overwrite each other" in only(machine.gpu(devices=tmp_path)[:1], WARN).detail
    monkeypatch.setattr(machine, "probe", answers(onnxruntime=broken("ModuleNotFoundError")))
    only(machine.gpu(devices=tmp_path), FAIL)


def test_config(tmp_path: Path) -> None:
    only(doctor_ros.config([]), SKIPPED)
    file = tmp_path / "live.yaml"
    file.write_text("pose2d:\n  ros__parameters:\n    num_poses: 2\n")
    only(doctor_ros.config([file]), OK)
    file.write_text("pose2d:\n  ros__parameters:\n    num_pose: 2\n")
    check = only(doctor_ros.config([file]), FAIL)
    assert "num_poses" in check.detail, "names the nearest known parameter"
    assert str(file) in check.remedy


@pytest.mark.parametrize(("free_mib", "level"), [(50, FAIL), (1500, WARN), (4000, OK)])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_mib: int, level: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free_mib * 2**20))
    assert f"{free_mib / 1024:.1f} GiB" in only(machine.disk(tmp_path), level).detail


# --- the graph ---


def test_mismatched_qos_is_reported_with_both_sides(ros_context) -> None:
    talker, listener = rclpy.create_node("camera", namespace="/lab"), rclpy.create_node("detector")
    talker.create_publisher(Image, "image", IMAGES)
    talker.create_publisher(People2D, "late", RESULTS)
    talker.create_publisher(People3D, "good", RESULTS)
    listener.create_subscription(Image, "/lab/image", print, RESULTS)
    unreliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, durability=LATCHED.durability)
    listener.create_subscription(People2D, "/lab/late", print, unreliable)
    listener.create_subscription(People3D, "/lab/good", print, IMAGES)
    with executing(talker, listener) as executor:
        assert spin_until(
            executor,
            lambda: (
                listener.count_publishers("/lab/good") == 1 and talker.count_subscribers("/lab/late") == 1
            ),
        )
        image, late = sorted(qos(listener), key=lambda check: check.name)
    assert only([image], FAIL).name == "qos of /lab/image"
    assert (
        image.detail
        == "/detector gets nothing from /lab/camera: Best effort publisher and reliable subscription"
    )
    assert image.remedy == (
        "start /detector with: --ros-args -p qos_overrides./lab/image.subscription.reliability:=best_effort"
    )
    assert late.remedy.endswith("qos_overrides./lab/late.subscription.durability:=volatile")


def test_a_topic_with_two_types_is_reported(ros_context) -> None:
    """In two processes as it were: the middleware refuses a second type within one participant."""
    elsewhere = Context()
    rclpy.init(context=elsewhere, domain_id=ros_context.get_domain_id())
    talker, listener = rclpy.create_node("talker"), rclpy.create_node("listener", context=elsewhere)
    talker.create_publisher(People2D, "people", RESULTS)
    listener.create_subscription(People3D, "people", print, RESULTS)
    with executing(talker) as executor:
        # Whose a subscription is becomes known later than that there is one.
        assert spin_until(
            executor,
            lambda: (
                [one.node_name for one in talker.get_subscriptions_info_by_topic("/people")] == ["listener"]
            ),
        )
        check = only(qos(talker), FAIL)
    listener.destroy_node()
    elsewhere.shutdown()
    assert check.name == "type of /people"
    assert check.detail == "/talker means pose_msgs/msg/People2D; /listener means pose_msgs/msg/People3D"


def test_a_graph_that_fits_is_ok(ros_context) -> None:
    with executing(node := rclpy.create_node("alone")):
        only(qos(node), OK)


def judged(info: CameraInfo | None, size: tuple[int, int] | None = (640, 480)) -> list[Check]:
    return judge_camera_info("/camera/camera_info", info, size)


def calibrated(width: int = 640, height: int = 480) -> CameraInfo:
    return CameraInfo(width=width, height=height, k=[500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0])


def test_camera_info_is_judged() -> None:
    only(judged(calibrated()), OK)
    zero = only(judged(CameraInfo(width=640, height=480)), FAIL)
    assert "K is all zero" in zero.detail
    assert "image:=/camera/image_raw" in zero.remedy
    other = only(judged(calibrated(), (1280, 720)), FAIL)
    assert other.detail == "is for images of 640x480, but they are 1280x720"
    assert "no image came" in only(judged(calibrated(), None), OK).detail
    only(judged(None), WARN)
    binned = calibrated(1280, 960)
    binned.binning_x = binned.binning_y = 2
    only(judged(binned), OK)
    binned.roi.width, binned.roi.height = 640, 480
    only(judged(binned, (320, 240)), OK)


def test_size_of_an_image_and_of_a_compressed_one() -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    assert image_size(Image(width=7, height=5)) == (7, 5)
    assert image_size(CompressedImage(format="jpeg", data=jpeg)) == (64, 48)
    assert image_size(CompressedImage(data=jpeg[:20])) is None
    assert image_size(CompressedImage()) is None


def test_zero_camera_info_and_wrong_size_on_a_running_graph(ros_context) -> None:
    camera, guest = rclpy.create_node("driver"), rclpy.create_node("guest")
    infos = {
        name: camera.create_publisher(CameraInfo, f"/{name}/camera_info", RESULTS)
        for name in ("left", "right", "top")
    }
    image = camera.create_publisher(Image, "/right/image_raw", IMAGES)
    camera.create_publisher(CompressedImage, "/right/image_raw/compressed", IMAGES)

    def publish() -> None:
        infos["left"].publish(CameraInfo(width=640, height=480))
        infos["right"].publish(calibrated())
        infos["top"].publish(calibrated())
        image.publish(Image(width=320, height=240))

    camera.create_timer(0.05, publish)
    with executing(camera, guest) as executor:
        assert spin_until(executor, lambda: guest.count_publishers("/right/image_raw") == 1)
        found = {check.name: check for check in camera_info(Visit(guest, executor))}
    assert only([found["/left/camera_info"]], FAIL).detail == "is not calibrated: K is all zero"
    assert (
        only([found["/right/camera_info"]], FAIL).detail == "is for images of 640x480, but they are 320x240"
    )
    only([found["/top/camera_info"]], OK)


def test_without_camera_or_pipeline_the_graph_checks_are_skipped(ros_context) -> None:
    guest = rclpy.create_node("guest")
    with executing(guest) as executor:
        visit = Visit(guest, executor)
        for check in (camera_info, stages, diagnostics):
            only(check(visit), SKIPPED)


def test_stages_that_are_inactive_or_missing(ros_context) -> None:
    guest, detector, lifter = (
        rclpy.create_node("guest"),
        LifecycleNode("pose2d", namespace="/lab"),
        LifecycleNode("lift3d"),
    )
    lifter.trigger_configure()
    with executing(guest, detector, lifter) as executor:
        visit = Visit(guest, executor)
        assert spin_until(executor, lambda: {"pose2d", "lift3d"} <= set(guest.get_node_names()))
        found = {check.name: check for check in stages(visit)}
        assert found["/lab/pose2d"].detail == "is unconfigured"
        assert (
            found["/lab/pose2d"].remedy
            == "ros2 lifecycle set /lab/pose2d configure && ros2 lifecycle set /lab/pose2d activate"
        )
        assert found["/lift3d"].remedy == "ros2 lifecycle set /lift3d activate"
        assert only([found["stages"]], WARN).detail == "refine not seen"
        lifter.trigger_activate()
        assert {check.name: check.level for check in stages(visit)}["/lift3d"] == OK


def test_a_stage_that_does_not_answer(ros_context, monkeypatch: pytest.MonkeyPatch) -> None:
    guest, hung = rclpy.create_node("guest"), LifecycleNode("refine")
    with executing(guest) as executor:
        assert spin_until(executor, lambda: "refine" in guest.get_node_names())
        found = {check.name: check for check in stages(Visit(guest, executor))}
    hung.destroy_node()
    assert "does not answer" in only([found["/refine"]], FAIL).detail


def test_diagnostics_of_stages(ros_context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_graph, "SETTLE_S", 0.5)
    guest, stage = rclpy.create_node("guest"), rclpy.create_node("source")
    publisher = stage.create_publisher(
        DiagnosticArray, "/diagnostics", QoSProfile(depth=9, reliability=ReliabilityPolicy.RELIABLE)
    )
    levels = {
        "pose2d: pipeline": DiagnosticStatus.ERROR,
        "lift3d: pipeline": DiagnosticStatus.WARN,
        "refine: pipeline": DiagnosticStatus.OK,
    }
    statuses = [
        DiagnosticStatus(name=name, level=level, message=f"{name} speaks") for name, level in levels.items()
    ]
    statuses.append(DiagnosticStatus(name="/somebody/else", level=DiagnosticStatus.ERROR))
    calm = [DiagnosticStatus(name=name, level=DiagnosticStatus.OK) for name in levels]
    turns = iter([statuses, *[calm] * 1000])
    stage.create_timer(
        0.02,
        lambda: (
            publisher.publish(DiagnosticArray(status=next(turns)))
            if publisher.get_subscription_count()
            else None
        ),
    )
    with executing(guest, stage) as executor:
        assert spin_until(executor, lambda: guest.count_publishers("/diagnostics") == 1)
        found = diagnostics(Visit(guest, executor))
    assert [(check.name, check.level) for check in found] == [
        ("diagnostics of pose2d: pipeline", FAIL),
        ("diagnostics of lift3d: pipeline", WARN),
        ("diagnostics of refine: pipeline", OK),
    ]
    assert found[0].detail == "pose2d: pipeline speaks"
    assert all(check.remedy for check in found[:2])


def test_visit_makes_and_ends_a_context_of_its_own() -> None:
    with doctor_graph.visit() as guest:
        assert guest.node.get_name() == "pose_doctor"
        context = guest.node.context
        assert context.ok()
    assert not context.ok()
