"""Job queues side by side on one machine, every acknowledgement synced to disk: `make bench-peers`. See bench/README.md."""
