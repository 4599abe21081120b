"""Latent in, nominal command out."""
