"""Files that tasks produce: bytes in a file store that servers and workers share, facts about them in the record."""

from tasks_server.artifacts.address import SCHEME, artifact_uri, parse_artifact_uri
from tasks_server.artifacts.store import Artifact, ArtifactStore, Deposit

__all__ = ["SCHEME", "Artifact", "ArtifactStore", "Deposit", "artifact_uri", "parse_artifact_uri"]
