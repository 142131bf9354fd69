"""From trained weights to ONNX files with a manifest."""
