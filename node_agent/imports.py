"""Imports as signs of progress: those of torch and transformers take many seconds, on a slow disk minutes."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from atlas import activity


class ImportReports(MetaPathFinder):
    """Reports each module that is imported for the first time, and leaves it to the other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Report that the imports before this one are done, and leave this one to the other finders."""
        activity.advance()
        return None


def report_imports() -> None:
    """From now on, report each module that is imported for the first time."""
    activity.begin("importing the training libraries")
    if not any(isinstance(finder, ImportReports) for finder in sys.meta_path):
        sys.meta_path.insert(0, ImportReports())
