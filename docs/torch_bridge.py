"""Checkpoints of webgpu-optim in PyTorch (1.13 or newer), and back.

    steps = load("checkpoint.safetensors", model, optimizer)    # ... train `more` updates ...
    save("checkpoint.safetensors", model, optimizer, steps + more)

The optimizer must be made already, of the class that bears the rule's name; state goes by the names of
`model.named_parameters()`, so its groups need not be those of the file. The browser reads what `save` writes with
`readCheckpoint(bytes, { like: await optimizer.stateDict() })`.
"""

import json
import re
import struct

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
          "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
# Options of a group that are no hyper-parameters of the rule: the rest have the same names in camelCase in the file.
OTHERS = {"params", "param_names", "name", "lr", "initial_lr", "weight_decay", "decoupled_weight_decay", "foreach", "fused",
          "capturable", "differentiable"}


def read_file(path):
    """Tensors by name, and the metadata. `safetensors.torch` does the same, with more checks."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        flat = torch.frombuffer(bytearray(data[start + begin:start + end]), dtype=dtype) if end > begin else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def write_file(path, tensors, metadata):
    # Wide elements first: so all are aligned.
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, parts, at = {"__metadata__": metadata}, [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        part = bytes(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(part)]}
        at += len(part)
        parts.append(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def load(path, model, optimizer):
    """Puts a file into model and optimizer, with the file's lr, decay and options; returns the number of updates so far."""
    tensors, metadata = read_file(path)
    rule = type(optimizer).__name__.lower()
    if metadata["rule"] != rule:
        raise ValueError(f"the file is of {metadata['rule']}, the optimizer is {type(optimizer).__name__}")
    found = {name[6:]: t for name, t in tensors.items() if name.startswith("model.")}
    missing, unknown = model.load_state_dict(found, strict=False)
    # The counter of batches, which only PyTorch keeps, matters to none of its usual settings.
    if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"the model does not fit: missing {missing}, unknown {unknown}")
    steps, groups = {}, {}
    slots = {}
    for group in json.loads(metadata["groups"]):
        steps.update(group["tensors"])
        groups.update(dict.fromkeys(group["tensors"], group))
        for name in group["tensors"]:
            numbers = group.get("numbers", {}).get(name, {})
            slots[name] = {key: torch.tensor(value, dtype=torch.float32) for key, value in numbers.items()}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            name, slot = key[10:].rsplit(".", 1)
            slots[name][slot] = tensor.float()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    state, position = optimizer.state_dict(), 0
    for group, saved in zip(optimizer.param_groups, state["param_groups"]):
        own = {names[id(p)]: groups[names[id(p)]] for p in group["params"]}
        if len({g["name"] for g in own.values()}) > 1:
            raise ValueError(f"the file has different options for {', '.join(own)}")
        for name, theirs in own.items():
            if steps[name] > 0 and slots[name]:
                step = {} if rule == "sgd" else {"step": torch.tensor(float(steps[name]))}
                state["state"][position] = {**step, **slots[name]}
            elif rule != "adagrad":  # which makes its state at construction
                state["state"].pop(position, None)
            position += 1
        for theirs in list(own.values())[:1]:
            if theirs["hyper"].get("tensorflow"):
                raise ValueError("PyTorch's RMSprop has no TensorFlow form")
            options = {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), k): v for k, v in theirs["hyper"].items()}
            decoupled = rule == "adamw" or saved.get("decoupled_weight_decay", False)
            if theirs["weightDecay"] != 0 and (theirs["decayMode"], decoupled) not in (("decoupled", True), ("coupled", False)):
                raise ValueError(f"{theirs['name']}: {type(optimizer).__name__} has no decay {theirs['decayMode']} here")
            options.update(lr=theirs["lr"], weight_decay=theirs["weightDecay"])
            saved.update({k: tuple(v) if isinstance(v, list) else v for k, v in options.items() if k in saved})
            saved["name"] = theirs["name"]
    optimizer.load_state_dict(state)
    return int(metadata["stepsApplied"])


def save(path, model, optimizer, steps):
    """Writes model and optimizer after `steps` updates."""
    rule = type(optimizer).__name__.lower()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {"model." + name: tensor for name, tensor in model.state_dict().items()}
    groups = []
    for number, group in enumerate(optimizer.param_groups):
        counts, numbers = {}, {}
        for parameter in group["params"]:
            name = names[id(parameter)]
            slots = {k: v for k, v in optimizer.state.get(parameter, {}).items() if v is not None}
            counts[name] = int(slots.pop("step", steps if slots else 0))
            for slot, value in slots.items() if counts[name] > 0 else ():
                if slot in ("eta", "mu"):  # of ASGD: numbers, not tensors of the parameter's shape
                    numbers.setdefault(name, {})[slot] = value.item()
                else:  # NAdam's product is one too, and follows from the count: the file marks such by float64
                    tensors[f"optimizer.{name}.{slot}"] = value.double() if slot == "mu_product" else value.float()
        decoupled = rule == "adamw" or group.get("decoupled_weight_decay", False)
        hyper = {re.sub("_(.)", lambda m: m[1].upper(), k): v for k, v in group.items() if k not in OTHERS}
        groups.append({"name": group.get("name", f"group{number}"), "lr": float(group["lr"]), "tensors": counts,
                       "weightDecay": group.get("weight_decay", 0), "decayMode": "decoupled" if decoupled else "coupled",
                       "decayDose": 0 if decoupled else None, "numbers": numbers, "hyper": {k: v for k, v in hyper.items() if v is not None}})
    write_file(path, tensors, {"format": "webgpu-optim/state", "version": "1", "rule": rule, "stepsApplied": str(steps),
                               "stepsSkipped": "0", "groups": json.dumps(groups)})
