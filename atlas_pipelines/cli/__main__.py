"""`python -m atlas_pipelines.cli` is `atlas`."""

from atlas_pipelines.cli.main import app

app()
