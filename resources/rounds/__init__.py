"""Steps of a round: gate, manifest, evaluation, settlement, verification."""
