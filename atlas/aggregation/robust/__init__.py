"""Robust rules: how much each update counts when some may be false. One file each; `registry` lists them."""
