"""Every file of figures/ draws from a small table; no texts overlap, none is smaller than 7 pt, none leaves the page."""

import importlib.util
import re
import runpy
import sys
import zlib
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from interface import table

FOLDER = Path(__file__).parents[1] / "figures"
synthetic = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "synthetic.py")))
designed = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "designed.py")))


def load(path):
    spec = importlib.util.spec_from_file_location(f"tested_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


make = load(FOLDER / "make.py")
VARIANTS = make.variants()


@pytest.fixture(scope="module")
def wide():
    glyphs = synthetic.rows(
        instances=1,
        pretexts=("Autoencoding", "InfoNCE", "MaskedPrediction", "Supervised"),
        steps=(0, 36, 300, 2700),
    )
    gaussian = synthetic.rows(
        source="GaussianFactor",
        instances=1,
        pretexts=("Autoencoding", "FixedMask", "SpectralContrastive"),
        encoders=("LinearEncoder(4)", "MLP(64,4)"),
        lrs=(3e-4, 1e-3, 3e-3),
        sizes=(32, 128, 100_000),
        steps=(0, 300, 2700),
    )
    return table.wide(glyphs + gaussian)


@pytest.fixture(scope="module")
def drawn(wide):
    """{name: figure} of all variants; drawing leaves the caller's table alone."""
    tables = designed.tables() | {make.DEFAULT: wide}
    before = {sweep: frame.copy() for sweep, frame in tables.items()}
    supplied = {"verdicts": synthetic.verdicts(), "summary": synthetic.summary()}
    figures = {}
    for name, (module, arguments) in VARIANTS.items():
        takes = set(module.draw.__annotations__)
        supplies = {key: value for key, value in supplied.items() if key in takes}
        figures[name] = module.draw(tables[make.sweep_of(module)], **arguments, **supplies)
    for sweep, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[sweep])
    return figures


def shown_texts(figure):
    """(text, box in pixels) of every text that is visible; tick labels only where their tick is within the axis."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - slack <= tick.get_loc() <= high + slack:
                    hidden |= {tick.label1, tick.label2}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in hidden]
    return [(text, text.get_window_extent(renderer)) for text in texts]


def overlaps(figure):
    pairs = []
    for (one, a), (two, b) in combinations(shown_texts(figure), 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > 0.5 and height > 0.5:  # pixels
            pairs.append((one.get_text(), two.get_text()))
    return pairs


def outside(figure):
    page = figure.bbox
    return [
        text.get_text()
        for text, box in shown_texts(figure)
        if box.x0 < page.x0 - 1 or box.x1 > page.x1 + 1 or box.y0 < page.y0 - 1 or box.y1 > page.y1 + 1
    ]


def test_the_checks_see_an_overlap_and_a_text_off_the_page():
    figure = Figure(figsize=(2, 2))
    FigureCanvasAgg(figure)
    figure.text(0.5, 0.5, "one")
    assert overlaps(figure) == []
    assert outside(figure) == []
    figure.text(0.52, 0.5, "two")
    figure.text(0.95, 0.9, "a long text")
    assert overlaps(figure) == [("one", "two")]
    assert outside(figure) == ["a long text"]


def test_every_file_of_the_folder_is_run():
    assert set(make.modules()) == {path.stem for path in FOLDER.glob("*.py")} - {"make"}
    names = [name for module in make.modules().values() for name in module.VARIANTS]
    assert len(names) == len(set(names)) > 0


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_texts_are_readable(drawn, name):
    figure = drawn[name]
    assert figure.get_figwidth() == 6.5  # the text block: printed at the size it is drawn
    assert figure.get_figheight() <= 8.5
    sizes = {text.get_fontsize() for text, _ in shown_texts(figure)}
    assert min(sizes) >= 7
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_something_is_drawn_in_every_panel(drawn, name):
    for axes in drawn[name].axes:
        assert axes.lines or axes.collections


def test_files_hold_real_text_and_are_the_same_twice(wide, tmp_path):
    written = []
    for folder in ("a", "b"):
        paths, left_out = make.draw_all(
            wide, tmp_path / folder, verdicts=synthetic.verdicts(), summary=synthetic.summary(), only=("verdicts", "numbers_glyphs")
        )
        assert left_out == {}
        assert [path.suffix for path in paths] == [".pdf", ".png"] * 2
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    for content in written[0][::2]:
        inside = content + b"".join(inflated(content))
        assert b"/Type3" not in inside
        assert b"/Type42" in inside or b"/TrueType" in inside or b"/CIDFontType2" in inside


def inflated(content):
    """The compressed parts of a PDF."""
    for part in re.findall(rb"stream\r?\n(.*?)endstream", content, flags=re.DOTALL):
        try:
            yield zlib.decompress(part)
        except zlib.error:
            yield part


def test_a_table_of_one_world_says_what_it_cannot_feed(wide, tmp_path):
    one = wide[wide["source"] == "Glyphs"]
    only = ("trajectories_gaussian", "verdicts", "adapt_against_pre_gaussian")
    paths, left_out = make.draw_all(one, tmp_path, verdicts=synthetic.verdicts(), summary=None, only=only)
    assert [path.stem for path in paths] == ["verdicts"] * 2
    assert set(left_out) == {"adapt_against_pre_gaussian", "trajectories_gaussian"}
    assert "no row left" in left_out["trajectories_gaussian"]
    with pytest.raises(ValueError, match="allowed: adapt_against_pre_gaussian"):
        make.draw_all(one, tmp_path, verdicts=None, summary=None, only=("no_such_figure",))


def test_the_command_reads_a_sweep_s_folder_and_says_where_files_are(tmp_path, capsys):
    rows = synthetic.rows(instances=2, pretexts=("Autoencoding",), shifts=(("none", 0.0, "none"), ("inversion", 1.0, "mixed")))
    table.write(rows, tmp_path / "sweep" / "runs" / "all.parquet")
    options = make.Options(
        tmp_path / "sweep", tmp_path / "figures", numbers=tmp_path / "numbers.tex", only=("verdicts", "numbers_glyphs")
    )
    assert make.main(options) == 0
    said = capsys.readouterr().out.split()
    assert said == [
        str(tmp_path / "figures" / f"{name}.{kind}") for name in ("verdicts", "numbers_glyphs") for kind in ("pdf", "png")
    ] + [str(tmp_path / "numbers.tex")]
    assert all(Path(path).stat().st_size > 0 for path in said)


def test_a_folder_feeds_the_figures_of_its_sweep():
    sweeps = {make.sweep_of(module) for module in make.modules().values()}
    every = [set(make.variants(sweep)) for sweep in sweeps]
    assert set().union(*every) == set(VARIANTS) and sum(map(len, every)) == len(VARIANTS)
    assert set(make.variants("my_own")) == set(make.variants(make.DEFAULT))
    files = {path.stem for path in (FOLDER.parent / "studies" / "sweeps").glob("*.py")}
    assert sweeps <= files
