"""One file for each step; each says which one it follows."""
