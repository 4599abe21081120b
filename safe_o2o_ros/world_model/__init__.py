"""The networks (torch): recurrent state-space model, heads, critics, actor, and their export to ONNX."""
