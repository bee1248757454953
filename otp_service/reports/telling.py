"""`Telling`: whether a gateway tells what it is asked for; that it does not is kept where an operator looks."""

from __future__ import annotations

from otp_service.ports import Accounts


class Telling:
    """One trip at each change, and none while nothing changes."""

    def __init__(self, accounts: Accounts, channel: str) -> None:
        self._accounts = accounts
        self._channel = channel
        self._is_told: dict[str, bool] = {}

    async def note(self, what: str, words: str = "") -> None:
        """`words` say why it is not told; "" where it is. Raises StoreDown."""
        is_told = not words
        if self._is_told.get(what) is not is_told:
            await self._accounts.untold(self._channel, what, words)
            self._is_told[what] = is_told

    def forget(self) -> None:
        """Another worker may ask from now on, and what is kept may change without us."""
        self._is_told.clear()
