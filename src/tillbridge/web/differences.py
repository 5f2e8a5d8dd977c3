"""Where two texts differ, marked for the eye: underlined and bold, so that colour is not the only sign."""

from __future__ import annotations

from difflib import SequenceMatcher

from markupsafe import Markup

# Below this share of equal letters two values are two values: marking letters would only confuse.
_ALIKE = 0.55

# Longer texts are shown whole: comparing letter by letter grows with the square of their length.
_LETTERS_MAX = 300


def differing(text: str | None, other: str | None) -> Markup:
    """Return a text, escaped, with what the other one says otherwise marked."""
    if not text:
        return Markup('<span class="blank">empty</span>')
    if text == other:
        return Markup("{}").format(text)
    if not other or max(len(text), len(other)) > _LETTERS_MAX:
        return Markup('<mark class="differs">{}</mark>').format(text)
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return Markup('<mark class="differs">{}</mark>').format(text)
    parts = [
        Markup("{}").format(text[start:end])
        if what == "equal"
        else Markup('<mark class="differs">{}</mark>').format(text[start:end])
        for what, start, end, _, _ in matcher.get_opcodes()
        if start < end
    ]
    return Markup("").join(parts)
