"""Messages that reach the user interface from other threads."""

from __future__ import annotations

from textual.message import Message

from maestro_tui.model.summary import FleetSnapshot


class SnapshotArrived(Message):
    """A newer state of all sessions; of several in the queue only the last counts."""

    def __init__(self, snapshot: FleetSnapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """An older snapshot that has not been handled yet is dropped."""
        return isinstance(message, SnapshotArrived)
