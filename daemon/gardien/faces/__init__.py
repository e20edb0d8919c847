"""What people and programs see: the terminal, the page, the API, the metrics."""
