"""What [console] says: read again when its file has changed, so that it holds without a restart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tillbridge.config import FILE_NAME, Console, load_console
from tillbridge.model.errors import ConfigurationInvalid


class Rules:
    """The rules of one installation."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder, self._env = folder, env
        self._kept: tuple[tuple[int, int], Console] | None = None

    def __call__(self) -> Console:
        """Return what the file says now; while it cannot be read, what it said before, or the defaults.

        The service says in its log what is wrong with it. The defaults let in nobody but by passwords.
        """
        try:
            found = (self._folder / FILE_NAME).stat()
        except OSError:
            return Console()
        stamp = (found.st_mtime_ns, found.st_size)
        if self._kept is None or self._kept[0] != stamp:
            try:
                self._kept = (stamp, load_console(self._folder, self._env))
            except ConfigurationInvalid:
                self._kept = (stamp, self._kept[1] if self._kept else Console())
        return self._kept[1]
