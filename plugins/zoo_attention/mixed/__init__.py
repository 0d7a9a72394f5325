"""Attention that weighs channels and positions."""
