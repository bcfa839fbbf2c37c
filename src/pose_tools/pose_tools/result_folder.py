"""Names of what both `pose demo` and `pose process` leave in their folders."""

BAG, OVERLAY, SUMMARY = "bag", "overlay.mp4", "summary.json"
