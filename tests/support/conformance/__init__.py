"""The same steps on the embedded chain and on a wasmd node, compared."""
