"""What the web page costs. Run with `make bench-web`."""
