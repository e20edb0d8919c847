"""One module per neighbour, and the only door to it."""
