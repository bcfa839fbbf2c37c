from lift3d_node.testing import scene, tiny_card, tiny_onnx  # noqa: F401
