"""From what an operator writes after `--tools` to a registry."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tasks_server.command_line import BUILT_IN
from tasks_server.errors import ConfigurationError
from workers.declaration import checked_queue
from workers.errors import DeclarationError
from workers.registry import Registry

# By the extra of this distribution that brings the packages they need.
BUILT_IN_MODULES = {"documents": "workers.tools.documents", "datasets": "workers.tools.datasets"}

NOTHING_BUILT_IN = (
    "The built-in tools need packages that are not installed: "
    "`pip install 'tasks-server[documents,datasets]'`. Or name tools of your own with --tools."
)


def load(names: Sequence[str], default_queue: str | None = None) -> Registry:
    """What the modules offer. A name is that of a module, the path of a `.py` file, or `built-in`.

    Raises ConfigurationError for one that is not there, cannot be imported, or offers nothing.
    """
    registry = Registry(_checked(default_queue))
    modules = [(name, module) for name in names for module in _modules(name)]
    for name, module in modules:
        if not _taken(registry, module):
            raise ConfigurationError(
                f"--tools {name}: nothing in there is decorated with @tool, @prompt or @resource."
            )
    if not registry.manifest().queues:
        raise ConfigurationError(NOTHING_BUILT_IN)
    return registry


def _checked(queue: str | None) -> str | None:
    try:
        return checked_queue(queue)
    except ValueError as error:
        raise ConfigurationError(f"--queue: {error}") from None


def _modules(name: str) -> list[str]:
    return _built_in_modules() if name == BUILT_IN else [_importable(name)]


def _taken(registry: Registry, module: str) -> int:
    try:
        return registry.take(module)
    except DeclarationError as error:
        raise ConfigurationError(str(error)) from None
    except (Exception, SystemExit) as error:  # whatever the author's module does when it is imported
        raise ConfigurationError(_told(module, error)) from None


def _importable(name: str) -> str:
    """The module's name, with the directory it lies in on the import path."""
    if name.endswith(".py") or os.sep in name:
        path = Path(name).resolve()
        if not path.is_file():
            raise ConfigurationError(f"--tools {name}: there is no such file.")
        module, directory = path.stem, path.parent
        if not module.isidentifier():
            raise ConfigurationError(f"--tools {name}: {module!r} cannot be imported; rename the file.")
    else:
        module, directory = name, Path.cwd()
    _put_on_path(directory)
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # its package is not there, or it is no name of a module
        found = None
    if found is None:
        raise ConfigurationError(
            f"--tools {name}: there is no such module. Run this where it lies, or name its file."
        )
    if name.endswith(".py") and found.origin != str(directory / f"{module}.py"):
        raise ConfigurationError(f"--tools {name}: {found.origin} has the same name; rename the file.")
    return module


def _put_on_path(directory: Path) -> None:
    """For this process, and for those that run single tools."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(directory) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(directory), *known]))


def _built_in_modules() -> list[str]:
    return [module for extra, module in BUILT_IN_MODULES.items() if _is_installed(extra)]


def _is_installed(extra: str) -> bool:
    """Whether every package that the extra names is there."""
    for requirement in importlib.metadata.requires("tasks-server") or ():
        package = re.match(r"[\w.-]+", requirement)
        if package and re.search(rf"""extra == ['"]{extra}['"]""", requirement):
            try:
                importlib.metadata.version(package[0])
            except importlib.metadata.PackageNotFoundError:
                return False
    return True


def _told(module: str, error: BaseException) -> str:
    """What went wrong inside the author's code: the error, and the lines of theirs that led to it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in {__file__, importlib.__file__}
    ]
    lines = traceback.format_list(frames[1:]) + traceback.format_exception_only(error)
    return f"Importing {module} failed:\n{''.join(lines)}"
