"""Attention that weighs channels."""
