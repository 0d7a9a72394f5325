"""Attention that weighs positions."""
