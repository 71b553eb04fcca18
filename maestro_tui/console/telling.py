"""An app that tells its operator something for a while, on whatever screen is shown."""

from __future__ import annotations

from maestro_tui.console.key_line import OneKeyAtATime
from maestro_tui.console.notices import SECONDS, Level, Notice, with_notice
from maestro_tui.console.widgets.notice_bar import NoticeBar


class Telling(OneKeyAtATime):
    """Every screen has a `NoticeBar`; all of them show the same."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: tuple[Notice, ...] = ()

    def say(self, sentence: str, *, severity: Level = "information") -> None:
        """Tell the operator something for a while; the text is never read as markup."""
        notice = Notice(sentence, severity)
        self._tell(with_notice(self.notices, notice))
        self.set_timer(
            SECONDS[severity], lambda: self._tell(tuple(one for one in self.notices if one is not notice))
        )

    def _tell(self, notices: tuple[Notice, ...]) -> None:
        self.notices = notices
        for screen in self.screen_stack:
            for bar in screen.query(NoticeBar):
                bar.show(notices)
