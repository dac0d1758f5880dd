"""Text from outside, made safe to show: names, reasons, tracebacks, choices, the output of programs.

Such text may hold control characters, terminal escapes, halves of surrogate pairs, markup of any kind, and URLs with
passwords. Each function here gives text that shows the same letters and does nothing else.
"""

from __future__ import annotations

import html
import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Control characters but tab and newline; overrides of the direction of writing; halves of surrogate pairs.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: What a database can't store.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SPACES = re.compile(r"[ \t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
#: ``scheme://user:password@``, the password up to the last ``@`` before a blank or a quote.
_PASSWORD = re.compile(r"""(\w://[^\s/:@'"]*):[^\s'"]*@""")
_SECRET_OPTION = re.compile(r"""([?&][\w.-]*(?:pass|secret|token|key)[\w.-]*)=[^\s&'"]+""", re.IGNORECASE)
#: Characters that mean something in Markdown, in Streamlit's colours and icons, and in formulas.
_MARKDOWN = re.compile(r"""([\\`*_{}\[\]()<>#+\-.!|~$:&@^=/"'])""")


def storable(text: str) -> str:
    """Text that every database and file takes: NUL and halves of surrogate pairs are replaced."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def lines(text: str) -> str:
    """Text of several lines: passwords in URLs are hidden, control characters are replaced."""
    return _UNSHOWABLE.sub(_REPLACEMENT, hide_passwords(text).replace("\r\n", "\n").replace("\r", "\n"))


def line(text: str) -> str:
    """The same in one line: each run of blanks and line breaks becomes a blank."""
    return _UNSHOWABLE.sub(_REPLACEMENT, _SPACES.sub(" ", hide_passwords(text)))


def markdown(text: str) -> str:
    """One line whose characters are all shown as they are where Markdown, as Streamlit reads it, is expected."""
    return _MARKDOWN.sub(r"\\\1", line(text)).replace("\\:", "&#58;").replace("\\$", "&#36;")


def figure_text(text: str) -> str:
    """One line whose characters are all shown as they are in plotly's titles, labels, legends and hover boxes.

    Plotly reads some HTML there, and fills in ``%{x}``; what stands in dollars it takes for a formula.
    """
    shown = html.escape(line(text), quote=False)
    return shown.replace("$", "&#36;").replace("%{", "%&#123;")


def hide_passwords(text: str) -> str:
    """The same text with the passwords of all URLs in it replaced by ``***``."""
    if "://" not in text:
        return text
    return _SECRET_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))


def last_words(text: str, letters: int = 400) -> str:
    """The end of what a program printed, from a whole word on; it begins with ``…`` where something is left out."""
    text = text.strip()
    if len(text) <= letters:
        return text
    end = text[-letters:]
    blank = _SPACES.search(end)
    return f"…{end[blank.end() :] if blank else end}"
