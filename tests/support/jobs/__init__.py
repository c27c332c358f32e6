"""Jobs and rounds with nodes whose behaviour is written down."""
