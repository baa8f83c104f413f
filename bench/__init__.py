"""The performance comparison: `make bench` runs it and writes its table into README.md."""
