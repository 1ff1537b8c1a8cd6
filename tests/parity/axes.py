"""Layers along axes other than the last, against NumPy: softmax, log_softmax, the normalizations, permute.  Gradients are
checked by tests/grad over the operators' own samples.

usage: axes.py NETC GOLDEN"""
import sys
import tempfile

import numpy as np

import keras_net as kn

netc = sys.argv[1]
folder = tempfile.TemporaryDirectory()
random = np.random.RandomState(9)
failed = passed = 0


def same(name, got, want, tolerance=2e-5):
    global failed, passed
    worst = np.abs(np.asarray(got, np.float64) - want).max() if got.shape == want.shape else np.inf
    if worst <= tolerance:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")


def softmax(x, w, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def spread(weight, x, axis):
    """A weight stored in the order of `axis`, for broadcasting: Keras reshapes it to the input's axes."""
    return weight.reshape([x.shape[a] if a in [b % x.ndim for b in axis] else 1 for a in range(x.ndim)])


def layer_norm(x, w, axis, epsilon=1e-3):
    y = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + epsilon)
    return y * spread(w["gamma"], x, axis) + spread(w["beta"], x, axis)


def group_norm(x, w, axis, groups):
    moved = np.moveaxis(x, axis[0], -1)
    flat = moved.reshape(len(x), -1, groups, moved.shape[-1] // groups)
    y = (flat - flat.mean((1, 3), keepdims=True)) / np.sqrt(flat.var((1, 3), keepdims=True) + 1e-3)
    return np.moveaxis(y.reshape(moved.shape) * w["gamma"] + w["beta"], -1, axis[0])


def batch_norm(x, w, axis):
    w = {k: spread(v, x, axis) for k, v in w.items()}
    return (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-3) * w["gamma"] + w["beta"]


def unit(x, w, axis):
    return x / np.maximum(np.sqrt((x**2).sum(axis, keepdims=True)), 1e-12)


SHAPES = {"a": (4, 5, 6), "b": (3, 7), "c": (11,), "d": (2, 3, 4, 5), "e": (1, 6, 17)}
CASES = []
for key, shape in SHAPES.items():
    ranks = range(1, len(shape) + 1)
    axes = [(a,) for a in ranks] + [(-1,), (-len(shape),)] + [(a, b) for a in ranks for b in ranks if a != b]
    axes += [(1, 2, 3), (3, 1, 2)] if len(shape) > 2 else []
    for axis in axes:
        if len(axis) > len(shape):
            continue
        word = str(axis[0]) if len(axis) == 1 else str(axis)
        whole = tuple(axis)
        CASES += [(key, f"softmax({word})", softmax, whole, {}),
                  (key, f"log_softmax(axis = {word})", lambda x, w, a: np.log(softmax(x, w, a)), whole, {}),
                  (key, f"unit_normalization({word})", unit, whole, {}),
                  (key, f"layer_normalization({word})", layer_norm, whole, {"gamma": axis, "beta": axis})]
        if len(axis) == 1:
            CASES.append((key, f"batchnorm(axis = {word})", batch_norm, whole,
                          {k: axis for k in ("gamma", "beta", "moving_mean", "moving_variance")}))
            for groups in {1, shape[axis[0] - (axis[0] > 0)]}:
                CASES.append((key, f"group_normalization({groups}, axis = {word})",
                              lambda x, w, a, g=groups: group_norm(x, w, a, g), whole, {"gamma": axis, "beta": axis}))
for order in ((4, 3, 2, 1), (2, 4, 1, 3), (1, 3, 2, 4)):
    CASES.append(("d", f"permute({order})", lambda x, w, a: x.transpose(0, *a), order, {}))

text = "network axes {\n  x = input(%d)\n" % sum(int(np.prod(s)) for s in SHAPES.values())
lines, outs = [], []
for i, key in enumerate(SHAPES):
    # a one-hot dense layer cuts out the values of each shape
    size = int(np.prod(SHAPES[key]))
    shape = "(" + ", ".join(map(str, SHAPES[key])) + ",)"
    text += f'  {key} = x -> dense({size}, use_bias = false, name = "cut_{key}") -> reshape({shape}, name = "shape_{key}")\n'
for i, (key, call, _, _, _) in enumerate(CASES):
    text += f'  o{i} = {key} -> {call[:-1]}, name = "l{i}") -> flatten(name = "f{i}")\n'
text += "  concat(" + ", ".join(f"o{i}" for i in range(len(CASES))) + ")\n}\n"
text += "train axes {\n  loss mse\n  optimizer sgd(0.0)\n  batch 3\n}\n"
made = kn.Library(netc, text, folder.name, "axes", batch=3)
rows = sum(int(np.prod(s)) for s in SHAPES.values())
at = 0
for key, shape in SHAPES.items():
    size = int(np.prod(shape))
    made.set(f"cut_{key}/kernel", np.eye(rows)[:, at:at + size])
    at += size
weights = {}
for i, (key, call, _, _, needed) in enumerate(CASES):
    weights[i] = {}
    for name, axis in needed.items():
        shape = tuple(SHAPES[key][a - (a > 0)] for a in axis)
        value = random.uniform(0.5, 2, shape).astype(np.float32)
        stored = made.shapes[f"l{i}/{name}"][1]
        if stored != shape:
            same(f"{key}: {call}: shape of {name} {stored}, Keras's {shape}", np.zeros(1), np.ones(1))
        made.set(f"l{i}/{name}", value)
        weights[i][name] = value.astype(np.float64)
x = random.normal(0, 2, (3, rows)).astype(np.float32)
total = sum(int(np.prod(SHAPES[c[0]])) for c in CASES)
y = made.predict(x, total)
parts, at = {}, 0
for key, shape in SHAPES.items():
    size = int(np.prod(shape))
    parts[key] = x[:, at:at + size].reshape(3, *shape).astype(np.float64)
    at += size
at = 0
for i, (key, call, formula, axis, _) in enumerate(CASES):
    want = formula(parts[key], weights[i], axis)
    size = int(np.prod(SHAPES[key]))
    same(f"{SHAPES[key]} {call}", y[:, at:at + size].reshape(want.shape), want, 4e-5)
    at += size
# a step of training moves the statistics of the batch along the right axis
made.begin()
made.step(x, np.zeros((3, total)))
for i, (key, call, _, axis, needed) in enumerate(CASES):
    if "moving_mean" in needed:
        others = tuple(a for a in range(len(SHAPES[key]) + 1) if a != axis[0] % (len(SHAPES[key]) + 1))
        for name, now in (("moving_mean", parts[key].mean(others)), ("moving_variance", parts[key].var(others))):
            same(f"{SHAPES[key]} {call} {name}", made.get(f"l{i}/{name}"), 0.99 * weights[i][name] + 0.01 * now)
made.close()
print(f"axes: {passed} passed, {failed} failed")
sys.exit(failed > 0)
