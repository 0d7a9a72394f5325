"""What `zoo demo` shows: digits drawn on the spot, and a picture of what a model makes of them."""
