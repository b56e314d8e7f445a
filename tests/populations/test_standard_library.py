import dataclasses
import sysconfig
from pathlib import Path

import pytest
import torch

from interface.core import fingerprint
from interface.populations import StandardLibrary, standard_library
from interface.populations.standard_library import NOT_ASCII, OTHER_PACKAGES, PACKAGES, _library

ROOT = Path(sysconfig.get_path("stdlib"))


def draw(population, n=300, k=1, seed=0):
    return population.views(n, k, torch.Generator().manual_seed(seed))


def as_tokens(text):
    return "".join(chr(min(byte, NOT_ASCII)) for byte in text)


def texts(domain, part, packages=PACKAGES):
    return {name: [as_tokens(text) for text in _library().texts[domain, name, part]] for name in packages}


@pytest.mark.parametrize("domain", ["code", "prose"])
@pytest.mark.parametrize("part", ["pretraining", "evaluation"])
def test_every_window_is_from_a_file_of_its_package_and_part(domain, part):
    known = texts(domain, part)
    x, y = draw(StandardLibrary(domain, part), k=2)
    for views, label in zip(x.tolist(), y.tolist(), strict=True):
        first, second = ("".join(map(chr, view)) for view in views)
        assert any(first in text and second in text for text in known[PACKAGES[label]])
    assert y.unique().tolist() == list(range(6))


def test_windows_cover_every_file_long_enough():
    seen = {
        (int(label), "".join(map(chr, window)))
        for window, label in zip(*draw_flat(StandardLibrary(length=40), 20_000), strict=True)
    }
    for label, package in enumerate(PACKAGES):
        own = [window for of, window in seen if of == label]
        for text in texts("code", "pretraining")[package]:
            if len(text) > 3_000:
                assert any(window in text for window in own), package


def draw_flat(population, n):
    x, y = draw(population, n)
    return x[:, 0].tolist(), y.tolist()


def test_the_parts_share_no_file_and_are_of_about_equal_size():
    for package in PACKAGES + OTHER_PACKAGES:
        sizes = []
        for part in ("pretraining", "evaluation"):
            sizes.append(sum(len(text) for domain in ("code", "prose") for text in _library().texts[domain, package, part]))
        assert 0.2 < sizes[1] / sizes[0] <= 1, package
    for package in PACKAGES:  # large files are in one part alone
        pretraining, evaluation = (set(_library().texts["code", package, part]) for part in ("pretraining", "evaluation"))
        assert not {text for text in pretraining & evaluation if len(text) > 200}


def test_prose_is_docstrings_and_code_is_the_rest(monkeypatch, tmp_path):
    monkeypatch.setattr(standard_library, "PACKAGES", ("one",))
    monkeypatch.setattr(standard_library, "OTHER_PACKAGES", ())
    monkeypatch.setattr(standard_library.sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "one" / "test").mkdir(parents=True)
    (tmp_path / "one" / "a.py").write_text(
        '"""Module."""\nx = """not\n"""\ndef f():\n    r\'\'\'Says\n    this.\'\'\'\n    return 1\n'
    )
    (tmp_path / "one" / "b.py").write_text("y = 2\n")
    (tmp_path / "one" / "test" / "c.py").write_text('"""Never read."""')
    _library.cache_clear()
    try:
        found = _library().texts
        assert found["prose", "one", "pretraining"] == [b"Module.\nSays\n    this."]
        assert found["code", "one", "pretraining"] == [b'\nx = """not\n"""\ndef f():\n\n    return 1\n']
        assert found["code", "one", "evaluation"] == [b"y = 2\n"]
        (tmp_path / "one" / "b.py").unlink()
        _library.cache_clear()
        with pytest.raises(ValueError, match=r"one has 1 source file\(s\)"):
            _library()
        monkeypatch.setattr(standard_library, "LARGEST", 10)
        with pytest.raises(ValueError, match="over 10 bytes"):
            _library()
    finally:
        _library.cache_clear()


def test_the_record_names_its_library_and_refuses_another():
    population = StandardLibrary()
    assert population.corpus == _library().digest
    assert population == StandardLibrary(corpus=population.corpus)
    assert dataclasses.replace(population, length=32).corpus == population.corpus
    with pytest.raises(ValueError, match=r"corpus is '0123'; this Python's library is .* do not mix"):
        StandardLibrary(corpus="0123")
    parts = [StandardLibrary(part=part, domain=domain) for part in ("pretraining", "evaluation") for domain in ("code", "prose")]
    assert len({fingerprint(part) for part in parts}) == 4
    assert parts[0].instance == parts[2].instance != parts[1].instance


@pytest.mark.parametrize("name", ["domain", "library"])
def test_strength_is_the_share_of_moved_examples(name):
    source, half, moved = (draw(p, 2_000) for p in (StandardLibrary(), *(StandardLibrary().shift(name, s) for s in (0.3, 1.0))))
    from_source, from_moved = ((half.x == other.x).flatten(1).all(1) for other in (source, moved))
    assert (from_source | from_moved).all()
    assert abs(from_moved.double().mean() - 0.3) < 4 * (0.3 * 0.7 / 2_000) ** 0.5 + 0.01
    assert torch.equal(source.y, moved.y)


@pytest.mark.parametrize(("name", "domain", "packages"), [("domain", "prose", PACKAGES), ("library", "code", OTHER_PACKAGES)])
def test_shifted_windows_are_from_where_they_should_be(name, domain, packages):
    known = texts(domain, "pretraining", packages)
    for window, label in zip(*draw_flat(StandardLibrary().shift(name, 1.0), 200), strict=True):
        assert any("".join(map(chr, window)) in text for text in known[packages[label]])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"domain": "poetry"}, "domain is 'poetry'"), ({"part": "test"}, "part is 'test'"), ({"length": 0}, "length is 0")],
)
def test_what_is_not_allowed_is_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        StandardLibrary(**arguments)


def test_too_long_windows_and_second_shifts_are_refused():
    with pytest.raises(ValueError, match="smaller length"):
        StandardLibrary("prose", "evaluation", length=30_000)
    with pytest.raises(ValueError, match=r"no evaluation file of \w+ holds 16000 bytes of code"):
        StandardLibrary("code", "evaluation", length=16_000).shift("library", 1.0)
    with pytest.raises(ValueError, match="already shifted by 'library'"):
        StandardLibrary().shift("library", 1.0).shift("domain", 1.0)
