"""Claims on pieces of work in a shared folder. The system releases them when their holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLAIMS = ".claims"  # one empty file; a piece of work is a byte range of it, so that there is nothing to clean up or to go stale
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def claim(folder: Path, work: str, *, wait: bool) -> Iterator[bool]:
    """Holds a piece of work against other processes, on this machine and on others that share the folder.

    A file system without locks lets everybody through: work is done twice there, and the second result replaces the first.
    A process holds one claim a folder at a time (closing any would release all: POSIX record locks).

    Args:
        folder: an existing folder, shared by those who could do the work.
        work: what is claimed, the same word for everybody.
        wait: wait until it is free.

    Yields:
        Whether this process may do the work now; always True where it waited.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, claim(Path(folder), "job 1", wait=False) as mine:
        ...     print(mine)
        True
    """
    place = int.from_bytes(hashlib.sha256(work.encode()).digest()[:7], "big")  # beyond the file's end is allowed
    with (folder / CLAIMS).open("a+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, place)
            mine = True
        except OSError as fault:
            if fault.errno not in (errno.EACCES, errno.EAGAIN, *NO_LOCKS):
                raise
            mine = fault.errno in NO_LOCKS
        yield mine
