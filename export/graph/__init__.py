"""Components as ONNX files."""
