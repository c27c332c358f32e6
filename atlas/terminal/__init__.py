"""The common parts of the commands `atlas` and `atlas-node`: deferred loading and output."""
