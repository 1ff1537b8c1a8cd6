"""make_weights.py OUT.h5 [SEED]: weights for probe.net in the layout of Keras's save_weights, class names as netc keeps
them."""
import sys

import h5py
import numpy as np

random = np.random.RandomState(int(sys.argv[2]) if len(sys.argv) > 2 else 1)


def normal(*shape):
    fan = np.prod(shape[:-1]) if len(shape) > 1 else 4
    return (random.randn(*shape) * np.sqrt(1.5 / fan)).astype(np.float32)


def norm(c):
    return [("gamma", 1 + .2 * normal(c)), ("beta", normal(c)), ("moving_mean", normal(c)),
            ("moving_variance", .5 + random.rand(c).astype(np.float32))]


layers = [
    ("first", [("kernel", normal(3, 3, 3, 16))]), ("first_bn", norm(16)),
    ("second", [("kernel", normal(3, 3, 16, 64)), ("bias", normal(64))]),
    ("third", [("kernel", normal(3, 3, 64, 64)), ("bias", normal(64))]), ("third_bn", norm(64)),
    ("depth", [("depthwise_kernel", normal(3, 3, 64, 1) * 3), ("bias", normal(64))]), ("depth_bn", norm(64)),
    ("small", [("kernel", normal(1, 1, 64, 32)), ("bias", normal(32))]),
    ("head", [("kernel", normal(6 * 6 * 32, 5)), ("bias", normal(5))]),
]
with h5py.File(sys.argv[1], "w") as file:
    file.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
    for name, weights in layers:
        group = file.create_group(name)
        names = [f"{name}/{weight}:0".encode() for weight, _ in weights]
        group.attrs["weight_names"] = np.array(names)
        for path, (_, value) in zip(names, weights):
            group.create_dataset(path.decode(), data=value)
    file.create_group("netc").attrs["class_names"] = np.array(["ant", "bee", "cat", "dog", "eel"], dtype="S")
