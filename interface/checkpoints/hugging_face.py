"""Checkpoints from folders of Hugging Face transformers, one folder a step. Needs the extra [hf]; nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from interface.checkpoints._base import Checkpoint
from interface.checkpoints._files import CheckpointError, inside

Pool = Literal["mean", "first", "last"]


def from_transformers(
    folder: str | Path, revisions: Sequence[str] | None = None, *, pool: Pool = "mean", run: str | None = None, **facts: Any
) -> list[Checkpoint]:
    """One checkpoint a saved model, in the order of steps; features are pooled from the last hidden states.

    A model's `pooler_output` is never read: where a checkpoint lacks the pooler, the library initialises one at random.
    Weights are read from safetensors alone, and code in the folder is not run.

    Args:
        folder: of one model (`save_pretrained`), or of subfolders of which each is one.
        revisions: names of the subfolders; the last number in a name is the step. None: the folder itself if it holds a
            config.json (step 0 where its name has no number), else all subfolders that do.
        pool: "mean" over positions that are no padding, the "first" position, or the "last" that is no padding.
        run: name of the run; by default the folder's.
        facts: known facts of the run.

    Inputs are token ids (n, t), padded with the model's own padding id where it has one; or texts, where the folder holds a
    tokenizer.

    Raises:
        ImportError: if transformers is not installed.
        CheckpointError: if a folder is no saved model, leads out of `folder`, or lacks weights other than a pooler's.
        ValueError: if `pool` is unknown.
    """
    if pool not in ("mean", "first", "last"):
        raise ValueError(f"from_transformers: pool is {pool!r}; allowed: mean, first, last")
    try:
        import transformers  # noqa: F401
    except ImportError as fault:
        raise ImportError("from_transformers needs the library transformers: pip install -c constraints.txt -e '.[hf]'") from fault
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"from_transformers: {folder} is not a folder here; nothing is downloaded")
    steps = _steps(folder, revisions)
    if not steps:
        raise CheckpointError(f"from_transformers: neither {folder} nor a subfolder of it holds a config.json")
    for path in steps.values():
        _load(path)
    return [
        Checkpoint(
            run=run or folder.resolve().name, step=step, load=partial(_load, steps[step]), embed=partial(_embed, pool), facts=facts
        )
        for step in sorted(steps)
    ]


def _steps(folder: Path, revisions: Sequence[str] | None) -> dict[int, Path]:
    if revisions is None and (folder / "config.json").is_file():
        numbers = re.findall(r"\d+", folder.resolve().name)
        return {int(numbers[-1]) if numbers else 0: folder}
    names = sorted(path.parent.name for path in folder.glob("*/config.json")) if revisions is None else list(revisions)
    found: dict[int, Path] = {}
    for name in names:
        numbers, path = re.findall(r"\d+", name), inside(folder, name)
        if not numbers or int(numbers[-1]) in found:
            raise CheckpointError(f"from_transformers: the name {name!r} has no step, or that of another folder; rename it")
        if not (path / "config.json").is_file():
            raise CheckpointError(f"from_transformers: {path} holds no config.json")
        found[int(numbers[-1])] = path
    return found


class Readable(nn.Module):
    """A transformer with what reading it needs: its tokenizer, if the folder has one, and its padding id."""

    def __init__(self, model: nn.Module, tokenizer: Any, padding: int | None) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.padding = padding


def _load(path: Path) -> Readable:
    import transformers

    try:
        model, report = transformers.AutoModel.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as fault:
        raise CheckpointError(f"{path} is not a readable saved model: {str(fault).splitlines()[0]}") from fault
    absent = [key for key in sorted(map(str, report["missing_keys"])) if "pooler" not in key]
    if absent:
        raise CheckpointError(f"{path} lacks {', '.join(absent[:5])}, which would be random; save the whole model")
    has_tokenizer = any(path.glob("tokenizer*"))
    tokenizer = (
        transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False) if has_tokenizer else None
    )
    return Readable(model.eval().requires_grad_(False), tokenizer, getattr(model.config, "pad_token_id", None))


def _embed(pool: Pool, module: Readable, x: Any) -> Tensor:
    inputs: Mapping[str, Tensor]
    if isinstance(x, Tensor):
        mask = torch.ones_like(x) if module.padding is None else (x != module.padding).long()
        inputs = {"input_ids": x, "attention_mask": mask}
    elif module.tokenizer is None:
        raise ValueError("from_transformers: inputs are texts and the folder holds no tokenizer; give token ids (n, t)")
    else:
        device = next(module.parameters()).device
        inputs = module.tokenizer(list(x), return_tensors="pt", padding=True, truncation=True).to(device)
    with torch.no_grad():
        hidden = module.model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].to(hidden.dtype)
    if pool == "mean":
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
    positions = torch.arange(hidden.shape[1], device=hidden.device) * (mask > 0)
    chosen = positions.argmax(1) if pool == "last" else (mask > 0).to(torch.int8).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), chosen]
