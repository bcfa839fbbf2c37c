"""A person standing before a camera, built by hand; and what runs the scripts of pages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource
from pose_core.skeleton import MEDIAPIPE33
from pose_ros.testing import ros_context  # noqa: F401

HALF_WIDTH = {"eye_inner": 0.02, "eye": 0.03, "eye_outer": 0.04, "ear": 0.07, "mouth": 0.02, "shoulder": 0.2}
HALF_WIDTH |= {"elbow": 0.3, "wrist": 0.35, "pinky": 0.37, "index": 0.36, "thumb": 0.33}
HALF_WIDTH |= {"hip": 0.1, "knee": 0.11, "ankle": 0.12, "heel": 0.12, "foot_index": 0.14}
DOWN = {"nose": -0.6, "eye_inner": -0.63, "eye": -0.63, "eye_outer": -0.63, "ear": -0.62, "mouth": -0.57}
DOWN |= {"shoulder": -0.45, "elbow": -0.2, "wrist": 0.05, "pinky": 0.12, "index": 0.13, "thumb": 0.1}
DOWN |= {"hip": 0.0, "knee": 0.42, "ankle": 0.84, "heel": 0.88, "foot_index": 0.9}


def place(joint: str) -> tuple[float, float, float]:
    """Metres from the pelvis of somebody who faces the camera: their left is to the image's right."""
    words = joint.split("_")
    name = "_".join(word for word in words if word not in ("left", "right"))
    sign = 1.0 if "left" in words else -1.0 if "right" in words else 0.0
    return sign * HALF_WIDTH.get(name, 0.0), DOWN[name], -0.15 if name == "foot_index" else 0.0


STANDING = np.array([place(joint) for joint in MEDIAPIPE33.joints])


class Studio:
    """Makes people of one image, and the camera that sees them."""

    camera = Camera(640, 480, np.array([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]]))
    skeleton = MEDIAPIPE33

    def person3d(
        self, person: str = "p1", at: tuple[float, float, float] = (0.0, 0.0, 3.0), **changes
    ) -> Person3D:
        """Somebody whose pelvis is `at`."""
        fields = {
            "confidence": 0.9,
            "xyz": STANDING + at,
            "std": np.full(33, 0.02),
            "root_std": np.array([0.01, 0.02, 0.1]),
            "joint_confidence": np.ones(33),
            "state": np.full(33, JointState.LIFTED, np.uint8),
            "height": 1.7,
            "height_std": 0.05,
            "scale_source": ScaleSource.SUBJECT,
        }
        return Person3D(id=person, **(fields | changes))

    def people3d(self, *people: Person3D, stamp: int = 10**9, frame_id: str = "cam") -> People3D:
        """Everybody of one image."""
        return People3D(stamp, frame_id, "mediapipe33", people)

    def person2d(
        self, person: str = "p1", at: tuple[float, float, float] = (0.0, 0.0, 3.0), **changes
    ) -> Person2D:
        """What the camera sees of `person3d`."""
        xy_px = self.camera.project(STANDING + at)
        fields = {
            "confidence": 0.9,
            "box_px": np.concatenate([xy_px.min(0) - 10, xy_px.max(0) + 10]),
            "xy_px": xy_px,
            "joint_confidence": np.ones(33),
        }
        return Person2D(id=person, **(fields | changes))

    def people2d(self, *people: Person2D, stamp: int = 10**9, frame_id: str = "cam") -> People2D:
        """Everybody of one image."""
        return People2D(stamp, frame_id, "mediapipe33", self.camera.width, self.camera.height, people)

    def without(self, array: np.ndarray, *joints: str, value: float = np.nan) -> np.ndarray:
        """A copy in which some joints have `value`."""
        array = np.array(array, float)
        array[self.skeleton.indices(*joints)] = value
        return array


@pytest.fixture(scope="session")
def studio() -> Studio:
    """People and their camera."""
    return Studio()


BROWSER = """
const calls = [], waiting = [], elements = {};
let now = 0;
function element(id) {
  return elements[id] ??= {id, textContent: texts[id] ?? "", value: id === "speed" ? "1" : "0", listeners: {},
    clientWidth: 800, clientHeight: 600, dataset: {}, tagName: "DIV",
    addEventListener(name, act) { this.listeners[name] = act; }};
}
const target = () => ({listeners: {}, addEventListener(name, act) { this.listeners[name] = act; }});
globalThis.document = {...target(), getElementById: element, body: element("body")};
globalThis.window = target();
globalThis.performance = {now: () => now};
globalThis.requestAnimationFrame = (act) => waiting.push(act);
globalThis.setTimeout = (act) => waiting.push(act);
const done = {then(act) { act(); return done; }};
globalThis.Plotly = new Proxy({}, {get: (_, name) => (...given) => {
  calls.push([name, ...given.map((one) => one && one.listeners ? one.id : one)]); return done; }});
function frames(count, by) { for (let i = 0; i < count; i++) { now += by; for (const act of waiting.splice(0)) act(now); } }
"""


class Reader:
    """Reads pages as a browser does."""

    def data(self, page: str, name: str) -> Any:
        """The JSON in the element called `name`."""
        pattern = rf'<script type="application/json" id="{name}">(.*?)</script>'
        return json.loads(re.search(pattern, page).group(1))

    def run(self, page: str, actions: str, result: str) -> Any:
        """What the expression `result` is in Node.js after the page's last script and then `actions` ran.

        Around them is just enough of a browser: `element(id)`, `frames(count, milliseconds)`, and `calls`, what plotly.js was
        asked for.
        """
        node = shutil.which("node")
        if node is None:
            pytest.skip("scripts of pages run in Node.js, which is not installed")
        names = re.findall(r'<script type="application/json" id="([^"]+)">', page)
        texts = json.dumps({name: json.dumps(self.data(page, name)) for name in names})
        script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
        program = (
            f"const texts = {texts};{BROWSER}{script}\n{actions}\nconsole.log(JSON.stringify({result}));"
        )
        ran = subprocess.run(
            [node, "-"], input=program, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture(scope="session")
def reader() -> Reader:
    """Reads pages."""
    return Reader()
