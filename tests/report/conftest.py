"""Small synthetic tables of two worlds, as `interface.table.wide` gives them, and the summaries and verdicts that go with them."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest

from interface import table

matplotlib.use("Agg")
synthetic = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "synthetic.py")))


@pytest.fixture(scope="session")
def glyphs():
    return table.wide(synthetic.rows(instances=2, pretexts=("Autoencoding", "InfoNCE"), steps=(0, 36, 2700)))


@pytest.fixture(scope="session")
def gaussian():
    return table.wide(
        synthetic.rows(
            source="GaussianFactor",
            instances=2,
            pretexts=("Autoencoding", "FixedMask"),
            encoders=("LinearEncoder(4)", "MLP(64,4)"),
            steps=(0, 36, 2700),
            replicates=2,
        )
    )


@pytest.fixture
def verdicts():
    return synthetic.verdicts()


@pytest.fixture
def summary():
    return synthetic.summary()


@pytest.fixture(scope="session")
def synthetic_rows():
    return synthetic.rows(instances=2, pretexts=("Autoencoding",), shifts=(("none", 0.0, "none"), ("inversion", 1.0, "mixed")))
