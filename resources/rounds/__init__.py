"""Steps of a round: gates, manifest, evaluation, settlement."""
