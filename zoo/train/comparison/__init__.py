"""Comparing trainings and models: which is better, and which differences are noise."""
