"""The pages in a real browser: their scripts run without an error, draw, and run nothing that a name smuggles in."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pose_core.markers import MarkerSequence
from pose_viz.pages.viewer import viewer_page
from pose_viz.video import OverlayVideo

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL where there is no GPU
    "--use-angle=swiftshader",
    "--enable-logging=stderr",
)
RUN = "document.documentElement.dataset.run = 'theirs'"
HOSTILE = f'</script><script>{RUN}</script><img src=x onerror="{RUN}">'
PLAYER = """<!DOCTYPE html><video muted src="overlay.webm"></video><script>
const video = document.querySelector("video"), told = document.documentElement.dataset;
const tell = (kind) => told.video = [kind, video.videoWidth, video.videoHeight, video.duration].join(" ");
video.onloadedmetadata = () => { tell("known"); video.currentTime = 0.5; };
video.onseeked = () => tell(video.readyState >= 2 ? "seen" : "unseen");
video.onerror = () => tell("refused");
</script>"""
"""Says how large the video is, and whether an image of its middle could be decoded."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="PAGES NOT OPENED: Chromium is missing; install the package chromium"
    ),
]


def opened(page: Path, profile: Path) -> tuple[str, str]:
    """The document without its scripts, as it is after two seconds of its own time, and what the browser logged."""
    command = [
        str(CHROMIUM),
        *FLAGS,
        f"--user-data-dir={profile}",
        "--virtual-time-budget=2000",
        "--dump-dom",
        page.as_uri(),
    ]
    # Without the library paths of ROS 2, which are not for other programs.
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    document, log = profile.with_suffix(".html"), profile.with_suffix(".log")
    with document.open("w") as out, log.open("w") as err:
        # In files and a session of their own: helpers of a browser that hangs would keep pipes open.
        browser = subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)
        try:
            assert browser.wait(timeout=120) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
    return re.sub(r"<script.*?</script>", "", document.read_text(), flags=re.DOTALL), log.read_text()


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
def test_an_overlay_video_plays(tmp_path: Path, codec: str):
    with OverlayVideo(tmp_path / "overlay.webm", codec, rate=59.94) as video:
        for number in range(60):
            video.write(np.full((90, 160, 3), 4 * number, np.uint8), round(number * 1e9 / 59.94))
    page = tmp_path / "page.html"
    page.write_text(PLAYER)
    document, _ = opened(page, tmp_path / "profile")
    state = re.search(r'data-video="([^"]*)"', document)
    assert state is not None, document
    kind, width, height, seconds = state[1].split()
    assert (kind, width, height) == ("seen", "160", "90")
    assert float(seconds) == pytest.approx(60 / 59.94, abs=0.002)


def test_the_viewer_draws_and_runs_no_name(tmp_path: Path):
    xyz = np.array([[[1.0, 2.0, 3.0], [1.1, 1.5, 3.0]], [[1.0, 2.1, 3.0], [1.1, 1.6, 3.0]]])
    motion = MarkerSequence(
        ("RHip", "RKnee"), np.array([0, 20_000_000]), xyz, np.full((2, 2), np.nan), HOSTILE
    )
    page = tmp_path / "walk.html"
    page.write_text(viewer_page([motion], HOSTILE), encoding="utf-8")
    document, log = opened(page, tmp_path / "profile")
    assert "Uncaught" not in log
    assert 'class="gl-container"' in document
    assert "<canvas" in document
    assert "WebGL is not supported" not in document
    assert 'data-run="theirs"' not in document


def test_the_test_would_see_a_script_that_fails(tmp_path: Path):
    page = tmp_path / "wrong.html"
    page.write_text("<!doctype html><title>wrong</title><script>nobody.knows()</script>", encoding="utf-8")
    _, log = opened(page, tmp_path / "profile")
    assert "Uncaught ReferenceError" in log
