"""`pose process`: a recording to markers, angles, a bag, a video and a report, without a graph."""
