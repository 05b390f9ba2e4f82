"""Losses of ten full-batch steps of a small network, in float64 by NumPy: the numbers that
src/program/dnn/tests.rs compares petuum's float32 steps with. The rules are PyTorch's (SGD with
momentum and nesterov, AdamW); with `torch` given as an argument PyTorch itself computes them.

    python3 benches/dnn_reference.py          # NumPy alone
    python3 benches/dnn_reference.py torch
"""
import math
import sys

import numpy as np

SIZES = [5, 7, 6, 3]
SAMPLES, STEPS, RATE, DECAY = 20, 10, 0.05, 0.01


def weights(sizes):
    layers = []
    for l, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
        u, i = np.meshgrid(np.arange(units), np.arange(inputs), indexing="ij")
        w = 0.5 * np.sin(1 + 3 * l + 0.9 * u + 0.37 * i + 0.11 * u * i)
        layers.append([w, 0.1 * np.cos(np.arange(units) + l)])
    return layers


S, I = np.meshgrid(np.arange(SAMPLES), np.arange(SIZES[0]), indexing="ij")
X = np.cos(0.3 * S + 1.1 * I + 0.05 * S * I)
CLASSES = np.arange(SAMPLES) ** 2 % 3
NUMBERS = np.sin(np.arange(SAMPLES))
erf = np.vectorize(math.erf)

ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "gelu": (
        lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2))),
        lambda z: 0.5 * (1 + erf(z / math.sqrt(2))) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    ),
}


def losses(activation, loss, optimizer):
    f, slope = ACTIVATIONS[activation]
    layers = weights(SIZES if loss == "cross-entropy" else SIZES[:-1] + [1])
    state = [[[np.zeros_like(p), np.zeros_like(p)] for p in layer] for layer in layers]
    told = []
    for t in range(1, STEPS + 1):
        inputs, sums = [X], []
        for n, (w, b) in enumerate(layers):
            sums.append(inputs[-1] @ w.T + b)
            inputs.append(f(sums[-1]) if n + 1 < len(layers) else sums[-1])
        z = inputs[-1]
        if loss == "cross-entropy":
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            told.append(-np.log(p[np.arange(SAMPLES), CLASSES]).mean())
            p[np.arange(SAMPLES), CLASSES] -= 1
            errors = p / SAMPLES
        else:
            told.append(((z[:, 0] - NUMBERS) ** 2).mean())
            errors = 2 * (z - NUMBERS[:, None]) / SAMPLES
        for n in reversed(range(len(layers))):
            w, b = layers[n]
            gradients = [errors.T @ inputs[n], errors.sum(0)]
            if n > 0:
                errors = (errors @ w) * slope(sums[n - 1])
            for k, (p, g) in enumerate(zip(layers[n], gradients)):
                step(p, g, state[n][k], optimizer, DECAY if k == 0 else 0.0, t)
    return told


def step(p, g, state, optimizer, decay, t):
    if optimizer == "adam":
        m, v = state
        m[...] = 0.9 * m + 0.1 * g
        v[...] = 0.999 * v + 0.001 * g * g
        p -= RATE * (m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + decay * p)
        return
    g = g + decay * p
    if optimizer == "sgd":
        p -= RATE * g
        return
    v = state[0]
    v[...] = 0.9 * v + g
    p -= RATE * (g + 0.9 * v if optimizer == "nesterov" else v)


def by_torch(activation, loss, optimizer):
    import torch

    torch.set_default_dtype(torch.float64)
    layers = weights(SIZES if loss == "cross-entropy" else SIZES[:-1] + [1])
    units = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU}
    parts = []
    for w, b in layers:
        linear = torch.nn.Linear(w.shape[1], w.shape[0])
        linear.weight.data, linear.bias.data = torch.tensor(w), torch.tensor(b)
        parts += [linear, units[activation]()]
    net = torch.nn.Sequential(*parts[:-1])
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": DECAY},
        {"params": [p for p in net.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    momentum = 0.0 if optimizer == "sgd" else 0.9
    if optimizer == "adam":
        rule = torch.optim.AdamW(groups, lr=RATE)
    else:
        rule = torch.optim.SGD(groups, lr=RATE, momentum=momentum, nesterov=optimizer == "nesterov")
    told = []
    for _ in range(STEPS):
        z = net(torch.tensor(X))
        if loss == "cross-entropy":
            value = torch.nn.functional.cross_entropy(z, torch.tensor(CLASSES))
        else:
            value = torch.nn.functional.mse_loss(z[:, 0], torch.tensor(NUMBERS))
        told.append(value.item())
        rule.zero_grad()
        value.backward()
        rule.step()
    return told


if __name__ == "__main__":
    compute = by_torch if "torch" in sys.argv[1:] else losses
    for activation, loss, optimizer in [
        ("relu", "cross-entropy", "sgd"),
        ("sigmoid", "cross-entropy", "momentum"),
        ("tanh", "squared", "nesterov"),
        ("gelu", "cross-entropy", "adam"),
        ("relu", "squared", "adam"),
    ]:
        values = ", ".join(f"{value:.9f}" for value in compute(activation, loss, optimizer))
        print(f"{activation} {loss} {optimizer}\n    {values}")
