"""Codecs: how an update travels in fewer bytes. One file each; `registry` lists them."""
