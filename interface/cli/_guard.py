"""What every command shares: clear refusals instead of tracebacks."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command; what the user can mend ends in one line and exit code 2, never in a traceback."""
    from interface.provenance import check_not_shadowed

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        check_not_shadowed()
        return command()
    except (ValueError, ImportError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2


def check_device(device: str) -> None:
    """Refuses a device that torch cannot use here."""
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device is {device!r}, which torch cannot use here: {str(error).splitlines()[0]}") from None
