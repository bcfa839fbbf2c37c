"""Units that files, messages and people use beside SI, as factors. Stamps are whole nanoseconds throughout."""

from __future__ import annotations

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
S_PER_NS = 1e-9
MS_PER_NS = 1e-6
MM_PER_M = 1000.0
