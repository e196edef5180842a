"""The PyTorch side of `npm run verify:torch`: the first 20 steps and the last 20, and what 60 in one run come to.

    run.py start FOLDER     # writes ID-20, the checkpoint, and ID-40-truth, ID-60-truth
    run.py finish FOLDER    # reads ID-40, which the engine wrote, and writes ID-60
    run.py resume FOLDER    # the bridge alone: every class saves, loads and goes on bit for bit, with batch normalization
"""

import json
import pathlib
import random
import sys

import numpy
import torch

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "docs"))
import torch_bridge  # noqa: E402

RUN = json.loads((HERE / "cases.json").read_text())
MASK = 0xFFFFFFFF


# The generator of the golden data, as test/reference/prng.ts has it.
def mix(x):
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def add(*terms):
    return sum(terms) + 0x9E3779B9 & MASK


def words(seed, stream, step, size):
    base = mix(add(mix(add(mix(add(seed)), stream)), step))
    return [mix(add(base, i)) for i in range(size)]


def uniform(word):
    return ((word >> 8) - 8388608) / 8388608


def generate(spec, seed, stream, step, size):
    first = words(seed, stream, step, size)
    if spec["kind"] == "normal":
        second = [mix(add(w)) for w in first]
        halves = lambda w: (w & 0xFFFF) + (w >> 16)
        values = [spec["scale"] * (halves(a) + halves(b) - 131070) / 65536 for a, b in zip(first, second)]
    else:
        fixed = words(seed, stream + 0x10000, 0, size)
        values = [spec["scale"] * (uniform(b) + spec["noise"] * uniform(w)) for w, b in zip(first, fixed)]
    return numpy.array(values).astype(numpy.float32).astype(numpy.float64)


class Training:
    """A model whose gradients come from the generator, and its optimizer."""

    def __init__(self, case, dtype, off=None):
        self.case, self.dtype, self.off = case, dtype, off
        self.model = torch.nn.Module()
        self.parameters = []
        for k, spec in enumerate(RUN["params"]):
            module = self.model
            *path, leaf = spec["name"].split(".")
            for part in path:
                if not hasattr(module, part):
                    setattr(module, part, torch.nn.Module())
                module = getattr(module, part)
            values = self.tensor(generate(RUN["init"], RUN["seed"], 0x1000 + k, 0, size_of(spec)), spec)
            self.parameters.append(torch.nn.Parameter(values))
            module.register_parameter(leaf, self.parameters[-1])
        self.lrs = [group["lr"] for group in case["groups"]]
        self.optimizer = getattr(torch.optim, case["optimizer"])([
            {**group, "params": [p for p, spec in zip(self.parameters, RUN["params"]) if spec["group"] == g]}
            for g, group in enumerate(case["groups"])
        ], lr=1.0)

    def tensor(self, values, spec):
        if self.off:
            values = values * numpy.array([1 + self.off.choice((-1, 1)) * 2**-24 for _ in values])
        return torch.tensor(values, dtype=self.dtype).reshape(spec["shape"])

    def train(self, first, last):
        for step in range(first, last + 1):
            for group, lr in zip(self.optimizer.param_groups, self.lrs):
                group["lr"] = lr * RUN["lrFactor"] ** (step - 1)
            for k, (parameter, spec) in enumerate(zip(self.parameters, RUN["params"])):
                has = step >= spec["firstGrad"]
                values = generate(RUN["grad"], RUN["seed"], k, step, size_of(spec))
                parameter.grad = self.tensor(values, spec) if has else None
            self.optimizer.step()

    def values(self):
        """Parameters and state by the names of the file, in float64."""
        found = {}
        for parameter, spec in zip(self.parameters, RUN["params"]):
            found["model." + spec["name"]] = parameter.detach().double().clone()
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                if slot != "step" and value is not None:
                    found[f"optimizer.{spec['name']}.{slot}"] = value.double().clone()
        return found


def size_of(spec):
    return int(numpy.prod(spec["shape"]))


def start(folder):
    steps = RUN["steps"]
    for case in RUN["cases"]:
        plain = Training(case, torch.float32)
        others = [Training(case, torch.float64 if i == 0 else torch.float32, random.Random(i)) for i in range(4)]
        truth = Training(case, torch.float64)
        for part in range(3):
            for training in (truth, plain, *others):
                training.train(part * steps + 1, (part + 1) * steps)
            if part == 0:
                torch_bridge.save(folder / f"{case['id']}-20.safetensors", plain.model, plain.optimizer, steps)
                continue
            deviations = {}
            for key, v in truth.values().items():
                error = (plain.values()[key] - v).abs()
                nonzero = v != 0
                rel = (error[nonzero] / v[nonzero].abs()).max().item() if nonzero.any() else 0
                sens = max((other.values()[key] - v).abs().max().item() for other in others)
                deviations[key] = {"abs": error.max().item(), "rel": rel, "sens": sens}
            name = f"{case['id']}-{(part + 1) * steps}-truth.safetensors"
            torch_bridge.write_file(folder / name, truth.values(), {"deviations": json.dumps(deviations)})


def finish(folder):
    steps = RUN["steps"]
    for case in RUN["cases"]:
        training = Training(case, torch.float32)
        path = folder / f"{case['id']}-40.safetensors"
        if not path.exists():  # a case of another version of PyTorch
            continue
        done = torch_bridge.load(path, training.model, training.optimizer)
        assert done == 2 * steps, done
        training.train(done + 1, done + steps)
        torch_bridge.save(folder / f"{case['id']}-60.safetensors", training.model, training.optimizer, done + steps)


def resume(folder):
    def make(name):
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
        groups = [{"params": model[0].parameters(), "lr": 1e-3}, {"params": [*model[1].parameters(), *model[2].parameters()]}]
        return model, getattr(torch.optim, name)(groups, lr=1e-2)

    def train(model, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(8, 4, generator=generator)).pow(2).mean().backward()
            optimizer.step()

    for name in ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Rprop", "ASGD"):
        path = folder / "resume.safetensors"
        model, optimizer = make(name)
        train(model, optimizer, 1)
        torch_bridge.save(path, model, optimizer, 5)
        other, other_optimizer = make(name)
        assert torch_bridge.load(path, other, other_optimizer) == 5
        train(model, optimizer, 2)
        train(other, other_optimizer, 2)
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), f"{name}: {key} differs"


if __name__ == "__main__":
    {"start": start, "finish": finish, "resume": resume}[sys.argv[1]](pathlib.Path(sys.argv[2]))
