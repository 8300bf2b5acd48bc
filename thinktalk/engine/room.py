"""How many positions all caches may hold. What would be too much is refused beforehand: nothing runs out of memory."""

from threading import Lock

from thinktalk.contracts import UserError


class Room:
    """Places for `most` positions of the Thinker's and the Talker's caches together; None: without end."""

    def __init__(self, most: int | None = None):
        if most is not None and most < 1:
            raise UserError(f"there is room for 1 position or more; got {most}")
        self.most = most
        self.taken = 0
        self._lock = Lock()

    def take(self, positions: int) -> None:
        """Raises UserError where there are not as many left."""
        with self._lock:
            if self.most is not None and self.taken + positions > self.most:
                wanted = f"the request may take {positions} positions more"
                if positions > self.most:
                    raise UserError(
                        f"{wanted}, and there are {self.most} for all; "
                        "shorten it, or lower max_tokens or max_speech_seconds"
                    )
                free = self.most - self.taken
                raise UserError(
                    f"{wanted}, and {free} of {self.most} are free; ask again when a reply has ended"
                )
            self.taken += positions

    def give(self, positions: int) -> None:
        """They are needed no more."""
        with self._lock:
            self.taken -= positions
