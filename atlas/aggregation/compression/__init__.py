"""Codecs: compression of updates. One file each; `registry` lists them."""
