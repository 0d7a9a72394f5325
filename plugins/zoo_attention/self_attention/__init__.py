"""Self-attention over positions or channels."""
