"""Texts that try to steer a terminal, a markup parser or the app; and the signs that must never be painted."""

HOSTILE = (
    "[/] oops [/red] [@click=app.quit]go[/] \x1b[2J\x1b]52;c;aGk=\x07 \x9b31m \u202egnp.exe\u200b\u2066 \rback \x00"
    " \U0001f469\u200d\U0001f680 שלום \ud800 $x ${y} {z} %s \\n"
)
"""Markup, actions, ESC, OSC 52, C1, bidi, zero width, CR, NUL, joined emoji, right to left, a lone surrogate."""
NEVER_RAW = set("\x1b\x07\x9b\x9d\x00\r\u202e\u200b\u2066\u200d\ud800")
