"""Slots, insertion, the model."""
