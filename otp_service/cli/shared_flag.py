"""`SharedFlag`: yes or no, known at once to a process and to the one that it forks, whichever of them says it."""

from __future__ import annotations

import mmap


class SharedFlag:
    """Down when it is made. It must be made before the fork."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def hoist(self) -> None:
        self._byte[0] = 1

    def lower(self) -> None:
        self._byte[0] = 0

    def __bool__(self) -> bool:
        return self._byte[0] == 1
