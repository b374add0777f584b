"""How fast the panel is beside other tools, measured; `make bench` runs it all. See docs/performance.md."""
