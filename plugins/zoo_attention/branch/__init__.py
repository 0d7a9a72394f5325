"""Attention that takes the place of a spatial convolution."""
