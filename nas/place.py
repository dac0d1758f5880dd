"""Decides whether the place where work runs is to blame for an error, or the work itself."""

from __future__ import annotations

import errno
import os
import re
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress

from nas.errors import PlaceError, StoreError

#: System error codes for which a disk, a permission, a system table or a network is to blame.
ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EPERM", "ESTALE", "ENODEV", "ENXIO", "EREMOTEIO"),
        *("EMFILE", "ENFILE", "EAGAIN", "ETXTBSY"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ETIMEDOUT"),
        *("ECONNREFUSED", "ECONNRESET", "ECONNABORTED"),
    )
    if hasattr(errno, name)
)
#: Texts of such errors, for libraries that keep only the text.
_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|Input/output error|Read-only file system|Stale file handle"
    r"|\(os error (?:5|28|30|116|122)\)|PytorchStreamWriter failed writing|file write failed"
    r"|inline_container\.cc:\d+\] \. unexpected pos"
)
#: Bytes that must fit on a disk; otherwise it counts as full.
_ROOM_BYTES = 1 << 20
#: Signals that mean that a process was ended by another process, a user or the system.
FROM_OUTSIDE = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
#: Signals that a process causes itself by an invalid operation.
OF_ITS_OWN = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
    if hasattr(signal, name)
)


def is_of_place(error: BaseException) -> bool:
    """Whether the place is to blame for an error, or for one of its causes."""
    return any(
        isinstance(item, (PlaceError, StoreError))
        or (isinstance(item, OSError) and item.errno in ERRORS)
        or bool(_WORDS.search(str(item)))
        for item in _chain(error)
    )


def bad_folder(folders: Iterable[str]) -> str | None:
    """The problem of the working folder, the temporary folder or one of ``folders``; None if all can be written."""
    try:
        for folder in (os.getcwd(), tempfile.gettempdir(), *folders):
            os.stat(folder)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(_ROOM_BYTES))
                file.flush()
    except OSError as error:
        return f"{error.strerror}: {error.filename or 'the working folder'}"
    return None


def how_ended(code: int) -> str:
    """An exit code in words; negative codes are signals."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    item: BaseException | None = error
    while item is not None and id(item) not in seen:
        seen.add(id(item))
        yield item
        item = item.__cause__ or (None if item.__suppress_context__ else item.__context__)
