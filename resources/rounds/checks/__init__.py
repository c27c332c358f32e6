"""What the checks of a round find, decided from numbers that the round already has."""
