"""What scoring the attempts of a training step costs, beside the way that transformers' own forward offers.

    python benchmarks/policy.py

A random model of Gemma 3's kind (sliding windows, a large vocabulary, an adapter as a training has it) scores attempts
and learns from them: forward and backward, all else left out. `logits_to_keep` asks the model's own forward for the
logits of the answers' tokens, without sharing prompts. Time is the processor's, as a ratio. Each method runs in a
process of its own, whose peak memory is counted above what it held before its first step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

METHODS = ("logits_to_keep", "shared prompts", "few tokens at a time", "both, as trained")
VOCABULARY, HIDDEN, LAYERS, WINDOW = 65536, 256, 2, 64
GROUPS, GROUP, PROMPT, ANSWER = 2, 8, 200, 64
KINDS = ("float32", "bfloat16")


def model(dtype: str) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=4 * HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=1, head_dim=64, sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    made = Gemma3ForCausalLM(config).to(getattr(torch, dtype))
    return get_peft_model(made, LoraConfig(r=8, target_modules="all-linear"))


def plain(model: Any, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=tokens, attention_mask=mask, logits_to_keep=ANSWER + 1, use_cache=False).logits
    every = logits[:, :-1].float().log_softmax(-1)
    return every.gather(-1, tokens[:, -ANSWER:, None])[..., 0]


def measure(method: str, dtype: str, steps: int) -> dict[str, float]:
    """Processor seconds of the median step, and the peak in bytes above what there was before the first."""
    import torch

    from grapebench.training import head, likelihood

    made = model(dtype)
    prompts = torch.randint(3, VOCABULARY, (GROUPS, PROMPT)).repeat_interleave(GROUP, 0)
    tokens = torch.cat([prompts, torch.randint(3, VOCABULARY, (len(prompts), ANSWER))], 1)
    mask = torch.ones_like(tokens)
    if method == "shared prompts":
        head.LOGITS = sys.maxsize
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(steps):
        began = time.process_time()
        if method == METHODS[0]:
            found = plain(made, tokens, mask)
        else:
            share = method != "few tokens at a time"
            found, _ = likelihood.of_answers(made, made.get_base_model(), tokens, mask, ANSWER, share)
        found.sum().backward()
        made.zero_grad()
        seconds.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": median(seconds), "bytes": peak * 1024.0, "value": float(found.detach().mean())}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--only", nargs=2, metavar=("METHOD", "DTYPE"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only:
        print(json.dumps(measure(*given.only, given.steps)))
        return 0
    print(
        f"### {GROUPS * GROUP} attempts, {PROMPT} + {ANSWER} tokens, {VOCABULARY:,} tokens known, width {HIDDEN}, "
        f"median of {given.steps}\n\n| weights | method | time | GiB above | mean log-probability |\n"
        "|---|---|---|---|---|"
    )
    for dtype in KINDS:
        unit = None
        for method in METHODS:
            command = [sys.executable, __file__, "--steps", str(given.steps), "--only", method, dtype]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            told = json.loads(done.stdout)
            unit = unit or told["seconds"]
            ratio = f"{told['seconds'] / unit:.2f}"
            print(f"| {dtype} | {method} | {ratio} | {told['bytes'] / 2**30:.2f} | {told['value']:.4f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
