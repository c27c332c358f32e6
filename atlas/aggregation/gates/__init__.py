"""Gates: the checks that an update must pass to enter a round."""
