"""People in 2D with persistent ids, from a camera, a video, an image folder or an image topic."""
