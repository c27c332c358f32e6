"""The registry of models."""

from atlas.ids import Cid, JobId
from chain_bridge.client.writes.base import OUTCOME, Writes


class ModelWrites(Writes[OUTCOME]):
    """Messages on named results; a name belongs to its first registrant."""

    def register_model(
        self, name: str, version: int, cid: Cid, job: JobId, parent: Cid | None = None, metrics: str | None = None
    ) -> OUTCOME:
        """Name a result of a job; `metrics` is the CID of its evaluation."""
        message = {"name": name, "version": version, "cid": cid, "job": job, "parent": parent, "metrics": metrics}
        return self._write("register_model", message)

    def promote_model(self, name: str, version: int) -> OUTCOME:
        """Make a version the current one of its name."""
        return self._write("promote_model", {"name": name, "version": version})

    def deprecate_model(self, name: str, version: int) -> OUTCOME:
        """Advise against a version; it is no longer current."""
        return self._write("deprecate_model", {"name": name, "version": version})
