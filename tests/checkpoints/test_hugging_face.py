import importlib.util

import pytest
import torch

from interface.checkpoints import CheckpointError, from_transformers

HAS = importlib.util.find_spec("transformers") is not None
needs = pytest.mark.skipif(not HAS, reason="transformers is not installed here: pip install -c constraints.txt -e '.[hf]'")


@pytest.mark.skipif(HAS, reason="transformers is installed here, so that its absence cannot be tried")
def test_its_absence_is_named(tmp_path):
    with pytest.raises(ImportError, match=r"needs the library transformers.*\[hf\]"):
        from_transformers(tmp_path)


def test_an_unknown_pool_is_refused_before_anything_is_imported(tmp_path):
    with pytest.raises(ValueError, match="pooler"):
        from_transformers(tmp_path, pool="pooler")


@pytest.fixture
def folder(tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, pad_token_id=0
    )
    for step in (100, 20):
        torch.manual_seed(step)
        BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path / f"step{step}")
    return tmp_path


@needs
def test_features_are_means_over_positions_that_are_no_padding(folder):
    first, last = from_transformers(folder, run="mine", pretext="MLM")
    assert (first.step, last.step, first.run) == (20, 100, "mine") and first.columns() == {"pretext": "MLM"}
    x = torch.tensor([[5, 7, 9, 0, 0], [3, 4, 5, 6, 7]])
    module = last.load()
    hidden = module.model(input_ids=x, attention_mask=(x != 0).long()).last_hidden_state
    z = last.embed(module, x)
    torch.testing.assert_close(z[0], hidden[0, :3].mean(0))
    torch.testing.assert_close(z[1], hidden[1].mean(0))
    alone = last.embed(module, x[:1, :3])  # padding changes nothing
    torch.testing.assert_close(z[:1], alone)
    for pool, position in (("first", 0), ("last", 2)):
        (chosen,) = from_transformers(folder, ["step20"], pool=pool)
        module = chosen.load()
        hidden = module.model(input_ids=x, attention_mask=(x != 0).long()).last_hidden_state
        torch.testing.assert_close(chosen.embed(module, x)[0], hidden[0, position])


@needs
def test_the_pooler_may_be_missing_and_nothing_else(folder):
    from safetensors.torch import load_file, save_file

    (alone,) = from_transformers(folder / "step20")
    assert alone.step == 20
    path = folder / "step20" / "model.safetensors"
    state = load_file(path)
    gone = next(key for key in state if "layer.1" in key)
    save_file({key: value for key, value in state.items() if key != gone}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="would be random"):
        from_transformers(folder, ["step20"])


@needs
def test_folders_that_are_no_models_are_named(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(CheckpointError, match="nothing is downloaded"):
        from_transformers(empty / "bert-base-uncased")
    with pytest.raises(CheckpointError, match=r"holds a config\.json"):
        from_transformers(empty)
    with pytest.raises(CheckpointError, match="leads out of"):
        from_transformers(folder / "step20", ["../step100"])
    (folder / "step20" / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="not a readable saved model"):
        from_transformers(folder)
