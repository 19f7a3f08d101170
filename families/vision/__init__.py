"""Vision models: networks that look at a picture and say what is where. Each is an ONNX file and a manifest."""
