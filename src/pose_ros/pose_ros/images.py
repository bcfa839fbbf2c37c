"""Image messages of images: uint8 arrays (H, W, 3), blue first, as OpenCV has them. `pose_ros.messages.images` reads them."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from pose_ros.conversions import header

JPEG_QUALITY = 85


def image_to_msg(bgr: np.ndarray, stamp: int, frame_id: str) -> Image:
    """Message of encoding bgr8; `stamp` in ns."""
    height, width, _ = bgr.shape
    data = array("B")
    data.frombytes(np.ascontiguousarray(bgr).data)
    msg = Image(header=header(stamp, frame_id), height=height, width=width, encoding="bgr8", step=3 * width)
    msg.data = data
    return msg


def compressed_to_msg(
    bgr: np.ndarray, stamp: int, frame_id: str, quality: int = JPEG_QUALITY
) -> CompressedImage:
    """JPEG message of `quality` 0 to 100; `stamp` in ns."""
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"an image of shape {bgr.shape} cannot be written as JPEG")
    msg = CompressedImage(header=header(stamp, frame_id), format="bgr8; jpeg compressed bgr8")
    msg.data = array("B", encoded.tobytes())
    return msg
