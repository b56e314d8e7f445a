"""Which code made a row, and whether this is the package that was meant."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

DISTRIBUTION = "pretraining-adaptation-interface"
# What can change a measured value; analysis and drawing cannot.
MEASURING = (
    "core.py", "seeds.py", "theory", "populations", "encoders", "convex", "pretexts", "adaptations", "training", "checkpoints",
    "measurement",
)  # fmt: skip


@cache
def code_digest() -> str:
    """Digest of the source of everything that can change a measured value: a letter and 11 hexadecimal digits.

    A commit hash would orphan rows at every commit; this changes only when the measuring code does.
    """
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for part in MEASURING:
        path = root / part
        files = sorted(file for file in path.rglob("*") if file.suffix in (".py", ".npz")) if path.is_dir() else [path]
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return "c" + digest.hexdigest()[:11]


def check_not_shadowed() -> None:
    """Say so if another distribution also installs a package named `interface`: which of the two is imported is chance.

    Raises:
        ImportError: naming the foreign distribution and how to remove it.
    """
    foreign = sorted({name for name in packages_distributions().get("interface", []) if name.lower() != DISTRIBUTION})
    if foreign:
        raise ImportError(
            f"another distribution installs a package named 'interface' too: {', '.join(foreign)}. "
            f"Run `pip uninstall {' '.join(foreign)}` and then reinstall {DISTRIBUTION}, or use an environment of its own."
        )
