"""Training samples a second of a multi-layer perceptron in JAX, on the CPU:

    python3 benches/suite/dnn_jax.py 784,1024,1024,10 [threads] [sgd|momentum|adam]
"""
import os
import sys
import time

threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=" + ("true" if threads > 1 else "false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

sizes = [int(size) for size in sys.argv[1].split(",")]
rule = sys.argv[3] if len(sys.argv) > 3 else "sgd"
BATCH, RATE = 128, 0.01
rng = np.random.default_rng(0)
net = [(jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b)), "float32"), jnp.zeros(b)) for a, b in zip(sizes, sizes[1:])]
state = jax.tree.map(jnp.zeros_like, net) if rule == "momentum" else None
x = rng.standard_normal((50, BATCH, sizes[0]), "float32")
y = rng.integers(0, sizes[-1], (50, BATCH))


def loss(net, x, y):
    for w, b in net[:-1]:
        x = jax.nn.relu(x @ w + b)
    z = x @ net[-1][0] + net[-1][1]
    return -jax.nn.log_softmax(z)[jnp.arange(BATCH), y].mean()


@jax.jit
def sgd(net, state, x, y):
    value, g = jax.value_and_grad(loss)(net, x, y)
    if state is None:
        return jax.tree.map(lambda p, g: p - RATE * g, net, g), None, value
    state = jax.tree.map(lambda v, g: 0.9 * v + g, state, g)
    return jax.tree.map(lambda p, v: p - RATE * v, net, state), state, value


for i in range(3):
    net, state, value = sgd(net, state, x[i], y[i])
value.block_until_ready()
best = 0.0
for _ in range(5):
    begun = time.perf_counter()
    for i in range(20):
        net, state, value = sgd(net, state, x[i % 50], y[i % 50])
    value.block_until_ready()
    best = max(best, 20 * BATCH / (time.perf_counter() - begun))
flops = 6 * sum(a * b for a, b in zip(sizes, sizes[1:])) - 2 * sizes[0] * sizes[1]
print(f"{sys.argv[1]} jax {jax.__version__} {threads} threads {rule}: {best:.0f} samples/s, {best * flops / 1e9:.0f} GFLOP/s")
