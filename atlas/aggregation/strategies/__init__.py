"""Strategies: how the updates of a round become one adapter. One file each; `registry` lists them."""
