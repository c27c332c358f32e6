"""Robust rules: how much each update may count when some of them lie. One file each; `registry` lists them."""
