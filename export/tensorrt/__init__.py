"""ONNX to TensorRT and TensorRT-RTX engines: one builder, as the two libraries share their interface.

Precision lives in the graph: networks are always strongly typed. TensorRT-RTX compiles on machines without a GPU.
"""
