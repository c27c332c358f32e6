"""`python -m node_agent` is `atlas-node`."""

from node_agent.cli.main import app

if __name__ == "__main__":
    app(prog_name="atlas-node")
