"""What answers a question of a browser, one module for each page."""
