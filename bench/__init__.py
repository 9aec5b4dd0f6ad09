"""What the speed of marketd is measured with: see README.md."""
