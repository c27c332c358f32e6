"""Outer optimizers: how far a round's aggregate moves the adapter. One file each; `registry` lists them."""
