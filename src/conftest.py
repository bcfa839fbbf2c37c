"""For all tests: how fast a machine is decides nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.register_profile("long", deadline=None, max_examples=3000)  # pytest --hypothesis-profile long
settings.load_profile("any machine")
