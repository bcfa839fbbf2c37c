"""Encoders of videos by name: what options and documents ask for without loading any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Codec:
    """How OpenCV's FFmpeg is asked for an encoder, and the ending of the files that hold what it makes."""

    fourcc: str
    suffix: str


CODECS = {"vp8": Codec("VP80", ".webm"), "vp9": Codec("VP90", ".webm"), "mp4v": Codec("mp4v", ".mp4")}
"""Encoders that the wheels of OpenCV have. Browsers play WebM and not MPEG-4 part 2; of H.264 those wheels have only the decoder,
because its usual encoder is under the GPL."""
CODEC = "vp8"
"""Where nobody says: OpenCV passes no speed on to libvpx, and with its usual one VP9 takes six times as long as VP8."""
SUFFIXES = tuple(dict.fromkeys(codec.suffix for codec in CODECS.values()))
"""Of the files that can be written; the first codec of each is the one where nobody says."""
