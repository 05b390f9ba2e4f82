"""Training samples a second of a multi-layer perceptron in TensorFlow, on the CPU, by plain gradient steps:

    python3 benches/suite/dnn_tensorflow.py 784,1024,1024,10 [threads]
"""
import os
import sys
import time

threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
sizes = [int(size) for size in sys.argv[1].split(",")]
BATCH, RATE = 128, 0.01
rng = np.random.default_rng(0)
weights = [tf.Variable(rng.normal(0, (2 / a) ** 0.5, (a, b)).astype("float32")) for a, b in zip(sizes, sizes[1:])]
biases = [tf.Variable(tf.zeros(b)) for b in sizes[1:]]
x = tf.constant(rng.standard_normal((50, BATCH, sizes[0]), "float32"))
y = tf.constant(rng.integers(0, sizes[-1], (50, BATCH)).astype("int32"))


@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        for w, b in zip(weights[:-1], biases[:-1]):
            x = tf.nn.relu(tf.linalg.matmul(x, w) + b)
        z = tf.linalg.matmul(x, weights[-1]) + biases[-1]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))
    for p, g in zip([*weights, *biases], tape.gradient(loss, [*weights, *biases])):
        p.assign_sub(RATE * g)
    return loss


for i in range(3):
    step(x[i], y[i]).numpy()
best = 0.0
for _ in range(5):
    begun = time.perf_counter()
    for i in range(20):
        value = step(x[i % 50], y[i % 50])
    value.numpy()
    best = max(best, 20 * BATCH / (time.perf_counter() - begun))
flops = 6 * sum(a * b for a, b in zip(sizes, sizes[1:])) - 2 * sizes[0] * sizes[1]
print(f"{sys.argv[1]} tensorflow {tf.__version__} {threads} threads sgd: {best:.0f} samples/s, {best * flops / 1e9:.0f} GFLOP/s")
