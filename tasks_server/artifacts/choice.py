"""Which file store the settings ask for."""

from __future__ import annotations

from tasks_server.artifacts.directory import DirectoryStore
from tasks_server.artifacts.files import FileStore
from tasks_server.errors import ConfigurationError
from tasks_server.settings import Settings

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")


def file_store(settings: Settings) -> FileStore:
    """The directory, or the object store if there is a URL. Nobody is asked whether it answers.

    Raises ConfigurationError for a URL that cannot work, or when the library is not installed.
    """
    url = settings.artifact_url
    if not url:
        return DirectoryStore(settings.artifact_dir)
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ConfigurationError(
            f"TASKS_ARTIFACT_URL must begin with one of {', '.join(f'{name}://' for name in SCHEMES)} and name "
            f"a bucket, as in s3://bucket/prefix; it begins with {scheme!r}. For a directory set "
            "TASKS_ARTIFACT_DIR instead."
        )
    try:
        from tasks_server.artifacts.objects import ObjectStore
    except ImportError:
        raise ConfigurationError(
            "TASKS_ARTIFACT_URL needs the library obstore: install tasks-server[object-store]."
        ) from None
    try:
        return ObjectStore(url)
    except ValueError as error:
        raise ConfigurationError(f"TASKS_ARTIFACT_URL cannot be used: {error}") from None
