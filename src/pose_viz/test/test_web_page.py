"""Pages hold what they shall, and nothing of a file becomes markup or script."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_viz.pages import web_page

HOSTILE = "</script><script>alert(1)</script><!-- & \"quoted\" 'too'"


def test_json_of_anything_can_stand_in_a_script():
    written = web_page.json_text({HOSTILE: [HOSTILE, "\u2028"]})
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == {HOSTILE: [HOSTILE, "\u2028"]}


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner)))
def test_json_comes_back(value):
    assert json.loads(web_page.json_text(value)) == value


def test_nan_is_no_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        web_page.json_text([float("nan")])


def test_numbers_are_rounded_and_missing_is_null():
    values = np.array([[1.2345, np.nan], [-0.0004, np.inf]])
    assert web_page.numbers(values, 2) == [[1.23, None], [0.0, None]]
    assert str(web_page.numbers(np.array([-0.0004]), 2)) == "[0.0]"


def test_texts_are_escaped():
    assert web_page.text('<b>&"') == "&lt;b&gt;&amp;&quot;"
    assert web_page.chart_text('<b>&"') == '&lt;b&gt;&amp;"'


def test_colours():
    assert web_page.css((1.0, 0.5, 0.0)) == "rgb(255,128,0)"
    assert web_page.css((1.0, 0.5, 0.0), 0.2) == "rgba(255,128,0,0.2)"


def test_a_page_allows_its_own_scripts_only():
    page = web_page.page(HOSTILE, "<p>body</p>", data={"figures": [1]}, scripts=["let a = 1;"])
    digest = base64.b64encode(hashlib.sha256(b"let a = 1;").digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert re.findall(r"<script[^>]*>", page) == ['<script type="application/json" id="figures">', "<script>"]
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert "http" not in page.replace("http-equiv", "")


def test_plotly_stands_in_the_page_once():
    page = web_page.page("charts", "", charts=True)
    assert page.count("plotly.js v") == 1
    assert "src=" not in page.split("<script>")[0]


def test_a_script_that_would_end_its_element_is_refused():
    with pytest.raises(ValueError, match="must not hold the tag"):
        web_page.page("page", "", scripts=["'</SCRIPT>'"])


def test_pages_replace_pages_and_nothing_else(tmp_path):
    path = tmp_path / "größe 1.html"
    web_page.save(web_page.page("one", ""), path)
    web_page.save(web_page.page("two \udcff", ""), path)
    assert "<title>two ?</title>" in path.read_text(encoding="utf-8")
    other = tmp_path / "thesis.html"
    other.write_text("<html>mine</html>")
    with pytest.raises(ValueError, match="thesis.html exists and is no page"):
        web_page.save(web_page.page("one", ""), other)
    assert other.read_text() == "<html>mine</html>"
    with pytest.raises(ValueError, match="is no page"):
        web_page.save(web_page.page("one", ""), tmp_path)
