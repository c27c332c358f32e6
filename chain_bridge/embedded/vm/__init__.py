"""The WebAssembly machine that runs contracts."""
