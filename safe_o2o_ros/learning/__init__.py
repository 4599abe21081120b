"""Losses and trainers: world model first, then critics and actor on its cached latents."""
