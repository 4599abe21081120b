"""Camera images in, latent out."""
