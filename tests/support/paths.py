"""Where the repository and the files that tests share are."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PUPPET = Path(__file__).parent / "chain" / "puppet.wat"
"""The source of a contract that does what its message says."""
