"""What operating Silo costs. Run with `make bench-operate`."""
