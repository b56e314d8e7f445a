import hashlib
import math
from importlib.resources import files

import numpy as np
import pytest
import torch

from interface.populations import Glyphs, glyphs
from interface.populations.glyphs import BOX, CLASSES, MONO, OTHER_SCRIPT, SANS, SERIF, example_poses, rendered, view_poses

DATA = files("interface.populations") / "data"
DIGESTS = {
    "source": "0a580f797cd2be19",
    "source_ink": "8219c690a7887f5b",
    "typeface": "981551fe2f550879",
    "typeface_ink": "be5071cd382b0f3b",
    "script": "8afb9e293dcdab84",
    "script_ink": "bcf3e9db86b582fc",
    "mono": "83517e91402d3317",
    "mono_ink": "6274f62244c9b0e5",
}
# Of 700 examples in two views at seed 5: sum of x times a ramp from -1 to 1, by index and shift, as first released.
RELEASED = {
    (0, "none", 0.0): 364.2306716624823,
    (0, "typeface", 0.5): -869.0108986958155,
    (0, "script", 1.0): 866.603358428528,
    (0, "rotation", 0.5): 318.0407869914306,
    (0, "inversion", 1.0): -275.30413089793274,
    (3, "random_label", 0.7): 1547.30410918063,
}


def draw(population, n=400, k=1, seed=0):
    return population.views(n, k, torch.Generator().manual_seed(seed))


def test_the_stored_glyphs_are_those_that_numbers_were_measured_on():
    with (DATA / "glyphs.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        found = {name: hashlib.sha256(stored[name].tobytes()).hexdigest()[:16] for name in stored.files}
    assert found == DIGESTS


@pytest.mark.parametrize(("index", "name", "strength"), RELEASED)
def test_draws_are_those_that_numbers_were_measured_on(index, name, strength):
    x, y = draw(Glyphs(index) if name == "none" else Glyphs(index).shift(name, strength), n=700, k=2, seed=5)
    ramp = torch.linspace(-1, 1, x.numel(), dtype=torch.float64)
    assert (x.double().flatten() @ ramp).item() == pytest.approx(RELEASED[index, name, strength], abs=0.01)
    labels = "0153e3a7" if name == "random_label" else "0eed5756"
    assert hashlib.sha256(y.numpy().tobytes()).hexdigest()[:8] == labels


def test_the_typefaces_come_with_their_licences():
    assert "Bitstream Vera" in (DATA / "LICENSE_DEJAVU").read_text(encoding="utf-8")
    assert "STIX" in (DATA / "LICENSE_STIX").read_text(encoding="utf-8")
    assert all(face.startswith(("DejaVu", "STIX")) for face in SANS + SERIF + MONO)


def test_instances_have_disjoint_classes():
    for sets in (CLASSES, OTHER_SCRIPT):
        assert [len(characters) for characters in sets] == [10] * 6
        assert len(set("".join(sets))) == 60
    assert not set("".join(CLASSES)) & set("".join(OTHER_SCRIPT))


def test_stored_glyphs_are_centred_and_distinct():
    with (DATA / "glyphs.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        domains = [stored[name].reshape(-1, BOX, BOX) for name in glyphs.DOMAINS]
    drawn = np.concatenate(domains)
    assert len(drawn) == 60 * (len(SANS) + len(SERIF) + len(SANS) + len(MONO))
    assert drawn.dtype == np.uint8
    assert all(len({glyph.tobytes() for glyph in domain}) == len(domain) for domain in domains)
    for axis in (1, 2):
        has_ink = drawn.any(axis=3 - axis)
        before, after = has_ink.argmax(1), has_ink[:, ::-1].argmax(1)
        assert (np.abs(before - after) <= 1).all()
        assert before.min() > 0


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("name", ["none", "typeface", "script", "mono"])
def test_each_domain_is_normalised_by_its_own_ink(index, name):
    population = Glyphs(index) if name == "none" else Glyphs(index).shift(name, 1.0)
    x = draw(population, n=3_000).x
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02


def test_rendering_is_bilinear_with_paper_outside_of_the_box():
    generator = torch.Generator().manual_seed(0)
    stored = torch.rand(3, 1, BOX, BOX, generator=generator)
    which = torch.tensor([2, 0, 1, 1])
    poses = 1.4 * example_poses(4, generator) @ view_poses(4, generator)  # 1.4: some pixels fall outside
    expected = torch.zeros(4, 16, 16)
    for i in range(4):
        for row in range(16):
            for column in range(16):
                u, v, _ = poses[i].tolist()
                at = ((2 * column + 1) / 16 - 1, (2 * row + 1) / 16 - 1, 1.0)
                across = ((sum(a * b for a, b in zip(u, at, strict=True)) + 1) * BOX - 1) / 2
                down = ((sum(a * b for a, b in zip(v, at, strict=True)) + 1) * BOX - 1) / 2
                for r in (math.floor(down), math.floor(down) + 1):
                    for c in (math.floor(across), math.floor(across) + 1):
                        if 0 <= r < BOX and 0 <= c < BOX:
                            expected[i, row, column] += (1 - abs(down - r)) * (1 - abs(across - c)) * stored[which[i], 0, r, c]
    assert (expected == 0).any()
    torch.testing.assert_close(rendered(stored, which, poses), expected.flatten(1), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("poses", "angle", "scale", "shear", "move"),
    [(example_poses, 0.25, (0.7, 0.95), 0.25, 0.1), (view_poses, 0.15, (0.93, 1.07), 0.0, 0.06)],
)
def test_poses_fill_their_stated_ranges(poses, angle, scale, shear, move):
    a = poses(5_000, torch.Generator().manual_seed(0))
    seen_angle, seen_scale = torch.atan2(a[:, 1, 0], a[:, 1, 1]), a[:, 1, :2].norm(dim=1)
    for seen, low, high in [
        (seen_angle, -angle, angle),
        (seen_scale, *scale),
        (a[:, 0, 1] + a[:, 1, 0], -shear, shear),
        (a[:, 0, 2], -move, move),
        (a[:, 1, 2], -move, move),
    ]:
        slack = 0.01 * (high - low) + 1e-6
        assert low - 1e-6 <= seen.min() <= low + slack
        assert high - slack <= seen.max() <= high + 1e-6


def test_rotation_is_a_quarter_turn_anticlockwise_of_the_same_content():
    source, turned = Glyphs(2, noise=0.0), Glyphs(2, noise=0.0).shift("rotation", 1.0)
    upright = draw(source, k=2).x.view(400, 2, 16, 16)
    expected = torch.rot90(upright, 1, (-2, -1))  # from the first of these axes to the second: anticlockwise
    torch.testing.assert_close(draw(turned, k=2).x.view_as(upright), expected, rtol=0, atol=1e-3)


def test_inversion_mirrors_the_ink_under_the_source_normalisation():
    source = draw(Glyphs(1, noise=0.0)).x
    inverted, blank = (draw(Glyphs(1, noise=0.0).shift("inversion", s)).x for s in (1.0, 0.5))
    constant = (source + inverted).flatten()  # (1 - 2 mean) / deviation
    assert constant.std() < 1e-5
    assert constant[0] > 1
    torch.testing.assert_close(2 * blank, constant.view_as(blank), rtol=0, atol=1e-5)


def test_noise_is_in_units_of_ink():
    # blank pages hold noise alone, of standard deviation noise / sqrt(ink variance + noise^2)
    def ink_variance(noise):
        blank = draw(Glyphs(0, noise=noise).shift("inversion", 0.5)).x
        return (noise / blank.std().item()) ** 2 - noise**2

    assert ink_variance(0.1) == pytest.approx(ink_variance(0.4), rel=0.05)
    views = draw(Glyphs(0).shift("inversion", 0.5), n=2_000, k=2).x
    correlation = torch.corrcoef(views.transpose(0, 1).flatten(1))[0, 1]
    assert abs(correlation) < 0.01  # each view has its own noise


@pytest.mark.parametrize("name", ["typeface", "script", "mono"])
def test_strength_is_the_share_of_examples_from_the_shifted_domain(name):
    source, mixed, moved = (draw(p, n=2_000, k=2) for p in (Glyphs(3), Glyphs(3).shift(name, 0.3), Glyphs(3).shift(name, 1.0)))
    from_source = (mixed.x == source.x).flatten(1).all(1)
    from_moved = (mixed.x == moved.x).flatten(1).all(1)
    assert (from_source ^ from_moved).all()
    assert abs(from_moved.double().mean() - 0.3) < 4 * (0.3 * 0.7 / 2_000) ** 0.5
    assert torch.equal(mixed.y, source.y)
    assert torch.equal(moved.y, source.y)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_random_labels_are_drawn_apart_from_the_image(strength):
    n = 5_000
    source, moved = draw(Glyphs(4), n), draw(Glyphs(4).shift("random_label", strength), n)
    assert torch.equal(source.x, moved.x)
    agree = 1 - 0.9 * strength
    assert abs((source.y == moved.y).double().mean() - agree) < 4 * (agree * (1 - agree) / n) ** 0.5
    if strength == 1:
        counts = torch.zeros(10, 10).index_put_((source.y, moved.y), torch.ones(n), accumulate=True)
        chi_square = ((counts - n / 100).square() / (n / 100)).sum()
        assert chi_square < 99 + 4 * (2 * 99) ** 0.5


@pytest.mark.parametrize(("strength", "cycled"), [(0.05, 2), (0.3, 3), (1.0, 10)])
def test_relabelling_exchanges_numbers_and_nothing_else(strength, cycled):
    source, moved = draw(Glyphs(4)), draw(Glyphs(4).shift("relabelling", strength))
    assert torch.equal(source.x, moved.x)
    names = [int(moved.y[source.y == c].unique()) for c in range(10)]
    assert sorted(names) == list(range(10))
    assert [c for c in range(10) if names[c] != c] == list(range(cycled))


@pytest.mark.parametrize("name", ["noise", "speckle", "occlusion", "blur"])
def test_corruptions_act_on_ink_under_the_source_normalisation(name):
    source, moved = Glyphs(1, noise=0.0), Glyphs(1, noise=0.0).shift(name, 1.0)
    x, y = draw(moved, k=2)
    assert torch.equal(y, draw(source, k=2).y)
    paper = draw(source).x.min()
    upright = draw(source, k=2).x
    if name == "occlusion":
        assert torch.all((x == upright) | ((x - paper).abs() < 1e-6))
    if name == "speckle":
        assert torch.equal(x[(upright - paper).abs() < 1e-6], upright[(upright - paper).abs() < 1e-6])
    assert (x - upright).square().mean() > 0.1


def test_bayes_risk_is_known_only_where_labels_are_pure_chance():
    assert Glyphs(5).shift("random_label", 1.0).bayes_risk() == math.log(10)
    assert Glyphs(5).shift("random_label", 1.0).bayes_risk().how == "exact"
    assert all(p.bayes_risk() is None for p in (Glyphs(5), Glyphs(5).shift("random_label", 0.9), Glyphs(5).shift("script", 1.0)))


@pytest.mark.parametrize("name", ["none", "typeface", "script", "mono", "rotation", "inversion"])
def test_labels_name_what_is_seen(name):
    population = Glyphs(0) if name == "none" else Glyphs(0).shift(name, 1.0)
    (x, y), (new, truth) = (population.sample(2_000, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    assert (torch.cdist(new, means).argmin(1) == truth).double().mean() > 0.25  # chance is .1


def test_a_sample_does_not_depend_on_the_size_of_a_step(monkeypatch):
    whole = draw(Glyphs(0, noise=0.0), n=40, k=2).x
    monkeypatch.setattr(glyphs, "AT_ONCE", 7)
    torch.testing.assert_close(draw(Glyphs(0, noise=0.0), n=40, k=2).x, whole, rtol=0, atol=1e-4)


def test_instances_share_poses_but_not_images():
    first, second = draw(Glyphs(0)), draw(Glyphs(1))
    assert torch.equal(first.y, second.y)
    assert not torch.equal(first.x, second.x)
    assert Glyphs(0).instance == "Glyphs-0"
    assert Glyphs(1).instance == "Glyphs-1"


@pytest.mark.parametrize(("arguments", "word"), [({"index": 6}, "index"), ({"index": -1}, "index"), ({"noise": -0.1}, "noise")])
def test_what_is_not_allowed_is_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        Glyphs(**arguments)


def test_a_second_shift_is_refused():
    with pytest.raises(ValueError, match="already shifted by 'rotation'"):
        Glyphs(0).shift("rotation", 1.0).shift("typeface", 1.0)
