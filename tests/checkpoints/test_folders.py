import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from interface.checkpoints import CheckpointError, from_folder
from interface.measurement import Transfer, measure
from interface.populations import GaussianFactor


def filled(value):
    return {name: torch.full_like(p, value) for name, p in nn.Linear(16, 2).state_dict().items()}


def test_files_of_all_kinds_become_checkpoints_in_order(tmp_path):
    save_file(filled(1.0), tmp_path / "1000.safetensors")
    torch.save(filled(2.0), tmp_path / "model-20.pt")
    torch.save({"model_state": filled(3.0), "optimizer": {"lr": 1.0}, "step": 7}, tmp_path / "epoch1_step300.pth")
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    found = from_folder(nn.Linear(16, 2), tmp_path, run="mine", lr=0.1)
    assert [(c.step, c.load().weight.unique().item()) for c in found] == [(20, 2.0), (300, 3.0), (1000, 1.0)]
    assert found[0].columns() == {"lr": 0.1} and not found[0].load().training
    rows = list(measure(found, [Transfer(GaussianFactor())]))
    assert {row.step for row in rows} == {20, 300, 1000} and all(row.run == "mine" for row in rows)


class Malicious:
    def __reduce__(self):
        return print, ("code was run",)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("5.safetensors", b"garbage", "5.safetensors is not a readable checkpoint"),
        ("5.safetensors", b"", "is not a readable checkpoint"),
        ("5.pt", b"garbage", "5.pt is not a readable checkpoint"),
        ("5.pt", pickle.dumps(Malicious(), protocol=2), "5.pt is not a readable checkpoint"),
        ("final.safetensors", b"", "has no step"),
        ("readme.md", b"", "holds no file"),
    ],
)
def test_bad_files_are_named_and_run_no_code(tmp_path, capsys, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=word):
        from_folder(nn.Linear(16, 2), tmp_path, run="mine")
    assert "code was run" not in capsys.readouterr().out


def test_what_does_not_fit_or_is_doubled_or_outside_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "5.pt")
    with pytest.raises(ValueError, match=r"5\.pt: .*lacks.*bias"):
        from_folder(nn.Linear(16, 2), tmp_path, run="mine")
    torch.save([1, 2], tmp_path / "5.pt")
    with pytest.raises(CheckpointError, match="no state dictionary"):
        from_folder(nn.Linear(16, 2), tmp_path, run="mine")
    torch.save(filled(1.0), tmp_path / "5.pt")
    torch.save(filled(1.0), tmp_path / "again5.pt")
    with pytest.raises(CheckpointError, match="both of step 5"):
        from_folder(nn.Linear(16, 2), tmp_path, run="mine")
    (tmp_path / "again5.pt").unlink()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "6.pt").symlink_to(tmp_path / "5.pt")
    with pytest.raises(CheckpointError, match="leads out of"):
        from_folder(nn.Linear(16, 2), tmp_path / "inside", run="mine")
    with pytest.raises(CheckpointError, match="not a folder"):
        from_folder(nn.Linear(16, 2), tmp_path / "absent", run="mine")
