"""The baseline: a plain peft loop over shards, without a pipeline. Prints one JSON line of seconds.

`python benchmarks/bare_loop.py MODEL_FOLDER STEPS BATCH MAX_LENGTH SHARD.jsonl ...`
"""

import json
import sys
import time
from pathlib import Path


def main(model_folder: str, steps: int, batch: int, max_length: int, shards: list[str]) -> None:
    started = time.perf_counter()
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    imported = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    loop = 0.0
    for shard in shards:
        torch.manual_seed(17)
        model = AutoModelForSequenceClassification.from_pretrained(model_folder, num_labels=2)
        lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
        model = get_peft_model(model, lora)
        rows = [json.loads(line) for line in Path(shard).read_text(encoding="utf-8").splitlines()]
        labels = {"negative": 0, "positive": 1}
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.0)
        decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        order = torch.randperm(len(rows)).tolist()
        model.eval()  # the pipeline also disables the base's dropout, and this adapter has none
        before = time.perf_counter()
        for step in range(steps):
            picked = [rows[order[(step * batch + k) % len(rows)]] for k in range(batch)]
            inputs = tokenizer(
                [row["text"] for row in picked],
                truncation=True,
                max_length=max_length,
                padding=True,
                return_tensors="pt",
            )
            loss = model(**inputs, labels=torch.tensor([labels[row["label"]] for row in picked])).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            decay.step()
            optimizer.zero_grad()
            loss.item()
        loop += time.perf_counter() - before
    total = time.perf_counter() - started
    print(json.dumps({"total": total, "import": imported - started, "loop": loop}))


if __name__ == "__main__":
    folder, steps, batch, max_length, *shards = sys.argv[1:]
    main(folder, int(steps), int(batch), int(max_length), shards)
