"""Augmentation: what the kernels make of a draw, against Keras's documented formulas written down again in NumPy; then whole
networks, whose random layers must use every argument they were given.

usage: augment.py NETC GOLDEN"""
import ctypes
import os
import subprocess
import sys
import tempfile

import numpy as np

import keras_net as kn

netc = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
folder = tempfile.TemporaryDirectory()
failed = passed = 0
ROTATION, ZOOM, TRANSLATION = range(3)
FILLS = ["reflect", "constant", "wrap", "nearest"]


def same(name, got, want, tolerance):
    global failed, passed
    worst = np.abs(np.asarray(got, np.float64) - want).max()
    if worst <= tolerance:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")


# ---- Keras's formulas ----

def outside(index, size, fill):
    """The index that stands for one outside the image, from keras.ops.image.affine_transform's documentation; -1: the fill value."""
    inside = (index >= 0) & (index < size)
    if fill == "constant":
        return np.where(inside, index, -1)
    if fill == "nearest":
        return np.clip(index, 0, size - 1)
    row = np.arange(size) if fill == "wrap" else np.concatenate([np.arange(size), np.arange(size)[::-1]])
    return row[index % len(row)]


def pixels(x, rows, columns, fill, value):
    i, j = outside(rows, x.shape[0], fill), outside(columns, x.shape[1], fill)
    return np.where(((i < 0) | (j < 0))[..., None], value, x[i, j])


def affine(x, matrix, fill, nearest, value):
    """y at (row, column) is x at matrix @ (column, row, 1)."""
    x = x.astype(np.float64)
    j, i = np.meshgrid(np.arange(x.shape[1]), np.arange(x.shape[0]))
    column, row, _ = np.tensordot(matrix, np.stack([j, i, np.ones_like(i)]), 1)
    if nearest:
        return pixels(x, np.floor(row + 0.5).astype(int), np.floor(column + 0.5).astype(int), fill, value)
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = (row - top)[..., None], (column - left)[..., None]
    y = 0
    for r, weight_r in ((top, 1 - down), (top + 1, down)):
        for c, weight_c in ((left, 1 - right), (left + 1, right)):
            y = y + weight_r * weight_c * pixels(x, r, c, fill, value)
    return y


def about_middle(x, matrix):
    middle = np.array([(x.shape[1] - 1) / 2, (x.shape[0] - 1) / 2])
    return np.block([[matrix, (middle - matrix @ middle)[:, None]], [np.zeros((1, 2)), 1]])


def transform(x, kind, first, second):
    """RandomRotation: degrees 360 * factor; RandomZoom: 1 + factor per axis; RandomTranslation: parts of the size."""
    if kind == ROTATION:
        angle = 2 * np.pi * first
        return about_middle(x, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))
    if kind == ZOOM:
        return about_middle(x, np.diag([1 + second, 1 + first]))
    return np.array([[1, 0, -second * x.shape[1]], [0, 1, -first * x.shape[0]], [0, 0, 1]])


def contrast(x, factor, least, most):
    mean = x.mean((0, 1), dtype=np.float64)
    return np.clip((x - mean) * factor + mean, least, most)


def brightness(x, factor, least, most):
    return np.clip(x.astype(np.float64) + factor * (most - least), least, most)


def middle(x, height, width):
    """The largest window with the aspect of the crop, from the middle, resized with half-pixel centres."""
    rows = max(1, min(x.shape[0], x.shape[1] * height // width))
    columns = max(1, min(x.shape[1], x.shape[0] * width // height))
    top, left = (x.shape[0] - rows) // 2, (x.shape[1] - columns) // 2
    x = x[top:top + rows, left:left + columns].astype(np.float64)

    def hat(inside, out):
        at = np.clip((np.arange(out) + 0.5) * inside / out - 0.5, 0, inside - 1)
        return np.clip(1 - np.abs(np.arange(inside)[None, :] - at[:, None]), 0, None)
    return np.einsum("ih,jw,hwc->ijc", hat(rows, height), hat(columns, width), x)


# ---- the kernels ----

def compile_library():
    path = f"{folder.name}/augment.so"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-march=native", "-shared", "-fPIC", "-w", f"-I{here}/../../runtime",
                    f"{here}/augment_library.c", "-o", path, "-lm"], check=True)
    return ctypes.CDLL(path)


library = compile_library()
library.draw_of.restype = ctypes.c_float
SEED = 11


def floats(array):
    return (ctypes.c_float * len(array))(*array)


def place(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def draws(image, number, low=0.0, high=1.0, seed=SEED, draw=0, layer=1):
    u = library.draw_of(ctypes.c_uint64(seed), ctypes.c_int64(draw), layer, ctypes.c_int64(image), number)
    return low + (high - low) * u


def call(name, x, shape, *arguments):
    y = np.full((len(x), *shape), np.nan, np.float32)
    getattr(library, name)(len(x), *x.shape[1:], *arguments, place(x), place(y))
    return y


random = np.random.RandomState(3)
seed = ctypes.c_uint64(SEED)
for n, h, w, c in ((5, 7, 9, 3), (3, 12, 5, 1), (2, 1, 6, 2), (2, 16, 16, 3)):
    x = random.uniform(0, 255, (n, h, w, c)).astype(np.float32)
    shape = x.shape[1:]
    for horizontal, vertical in ((1, 0), (0, 1), (1, 1)):
        want = [image[::-1 if vertical and draws(i, 0) <= 0.5 else 1, ::-1 if horizontal and draws(i, 0) <= 0.5 else 1]
                for i, image in enumerate(x)]
        same(f"flip {shape} {horizontal}{vertical}", call("flip", x, shape, horizontal, vertical, seed), np.stack(want), 0)
    for kind, ranges in ((ROTATION, (-0.4, 0.3, 0, 0)), (ZOOM, (-0.6, 0.8, -0.3, 0.2)), (ZOOM, (-0.5, 0.5, None, None)),
                         (TRANSLATION, (-0.7, 1.0, -0.4, 0.9))):
        square = ranges[2] is None
        for fill in FILLS:
            for value in (0.0, -31.5) if fill == "constant" else (0.0,):
                want = []
                for i, image in enumerate(x):
                    first = draws(i, 0, *ranges[:2])
                    second = first if square or kind == ROTATION else draws(i, 1, *ranges[2:])
                    want.append(affine(image, transform(image, kind, first, second), fill, False, value))
                got = call("affine", x, shape, kind, floats([v or 0 for v in ranges]), int(square), FILLS.index(fill), 0,
                           ctypes.c_float(value), seed)
                # positions are float32: a pixel of 255 moves by that part of it
                same(f"affine {kind} {shape} {fill} {value}", got, np.stack(want), 255 * 40 * 1.2e-7 * max(h, w))
        # which pixel is nearest is a matter of one bit at half a pixel: draws that keep away from it
        for fill in FILLS:
            for first, second in ((0.11, -0.37), (-0.23, 0.41), (0.31, 0.13)):
                matrix = transform(x[0], kind, first, second)
                j, i = np.meshgrid(np.arange(w), np.arange(h))
                at = np.tensordot(matrix, np.stack([j, i, np.ones_like(i)]), 1)[:2]
                clear = (np.abs(at % 1 - 0.5) > 1e-3).all(0)
                y = np.empty(shape, np.float32)
                library.affine_given(h, w, c, kind, FILLS.index(fill), 1, ctypes.c_float(7), ctypes.c_float(first),
                                     ctypes.c_float(second), place(x), place(y))
                want = affine(x[0], matrix, fill, True, 7)
                same(f"nearest {kind} {shape} {fill} {first}", y * clear[..., None], want * clear[..., None], 0)
    want = [contrast(image, 1 + draws(i, 0, -0.6, 0.9), 10, 200) for i, image in enumerate(x)]
    same(f"contrast {shape}", call("contrast", x, shape, floats([-0.6, 0.9, 10, 200]), seed), np.stack(want), 1e-3)
    want = [brightness(image, draws(i, 0, -0.8, 0.5), 10, 200) for i, image in enumerate(x)]
    same(f"brightness {shape}", call("brightness", x, shape, floats([-0.8, 0.5, 10, 200]), seed), np.stack(want), 1e-3)
    for height, width in {(max(1, h - 2), max(1, w - 3)), (h, max(1, w // 2)), (1, 1), (h, w)}:
        want = []
        for i, image in enumerate(x):
            top, left = int(draws(i, 0) * (h - height + 1)), int(draws(i, 1) * (w - width + 1))
            want.append(image[top:top + height, left:left + width])
        same(f"crop {shape} {height}x{width}", call("crop", x, (height, width, c), height, width, seed), np.stack(want), 0)
    for height, width in {(max(1, h - 2), max(1, w - 3)), (h + 3, w), (2 * h, 3 * w), (1, 1), (h, 2 * w + 1)}:
        want = np.stack([middle(image, height, width) for image in x])
        same(f"middle {shape} {height}x{width}", call("middle", x, (height, width, c), height, width), want, 1e-3)


# ---- whole networks: the values behind each layer are read off a trained PReLU ----
# All pixels are negative, so PReLU's slopes of 1 let them through; with the target 0 and a batch of one image the gradient of
# a slope is 2 / count * pixel^2.

H, W, C = 6, 9, 2
TRAIN_SEED, OWN = 21, 5
CASES = [
    ("random_flip()", lambda x, u: x[::-1, ::-1] if u(0) <= 0.5 else x),
    ("random_flip(vertical, seed = 5, data_format = channels_last)", lambda x, u: x[::-1] if u(0) <= 0.5 else x),
    ("random_rotation(0.3, fill_value = -7.0, fill_mode = constant)",
     lambda x, u: affine(x, transform(x, ROTATION, u(0, -0.3, 0.3), 0), "constant", False, -7)),
    ("random_rotation((0.1, -0.2), wrap)", lambda x, u: affine(x, transform(x, ROTATION, u(0, -0.2, 0.1), 0), "wrap", False, 0)),
    ("random_zoom(-0.4, seed = 5)", lambda x, u: affine(x, transform(x, ZOOM, u(0, -0.4, 0.4), u(0, -0.4, 0.4)), "reflect", False, 0)),
    ("random_zoom((0.2, 0.5), (-0.3, -0.1), fill_mode = \"nearest\")",
     lambda x, u: affine(x, transform(x, ZOOM, u(0, 0.2, 0.5), u(1, -0.3, -0.1)), "nearest", False, 0)),
    ("random_translation(0.5, (-0.2, 0.4), wrap)",
     lambda x, u: affine(x, transform(x, TRANSLATION, u(0, -0.5, 0.5), u(1, -0.2, 0.4)), "wrap", False, 0)),
    ("random_contrast(0.5, value_range = (-250, -1))", lambda x, u: contrast(x, 1 + u(0, -0.5, 0.5), -250, -1)),
    ("random_contrast((0.8, 0.1), (-200, -20))", lambda x, u: contrast(x, 1 + u(0, -0.8, 0.1), -200, -20)),
    ("random_brightness(0.3, (-250, -1))", lambda x, u: brightness(x, u(0, -0.3, 0.3), -250, -1)),
    ("random_brightness((0.2, -0.6), value_range = [-1, -200])", lambda x, u: brightness(x, u(0, -0.6, 0.2), -200, -1)),
    ("random_crop(4, 5)", lambda x, u: x[int(u(0) * 3):int(u(0) * 3) + 4, int(u(1) * 5):int(u(1) * 5) + 5]),
    ("random_crop(8, 7)", lambda x, u: middle(x, 8, 7)),
]
text = f"network aug {{\n  x = input({H}x{W}x{C})\n"
for k, (layer, _) in enumerate(CASES):
    text += f"  o{k} = x -> {layer} -> flatten()\n"
text += f"  concat({', '.join(f'o{k}' for k in range(len(CASES)))})\n  prelu(alpha_initializer = ones, name = \"p\")\n}}\n"
text += f"train aug {{\n  loss mse\n  optimizer sgd(learning_rate = 1.0)\n  batch 1\n  seed {TRAIN_SEED}\n  cache off\n}}\n"
made = kn.Library(netc, text, folder.name, "aug", batch=1)
count = made.shapes["p/alpha"][1][0]
made.begin(seed=TRAIN_SEED)
x = -random.uniform(1, 250, (1, H, W, C)).astype(np.float32)
for step in range(3):
    made.set("p/alpha", np.ones(count, np.float32))
    made.step(x, np.zeros((1, count), np.float32))
    values = -np.sqrt(np.maximum(1 - made.get("p/alpha").astype(np.float64), 0) * count / 2)
    at = 0
    for k, (layer, formula) in enumerate(CASES):
        own = "seed = 5" in layer
        # the graph's layers: input, then a random layer and a flatten for each case
        want = formula(x[0], lambda number, low=0.0, high=1.0: draws(
            0, number, low, high, OWN if own else TRAIN_SEED, step, 0 if own else 1 + 2 * k))
        same(f"step {step}: {layer}", values[at:at + want.size], want.ravel(), 0.02)
        at += want.size
made.close()
print(f"augment: {passed} passed, {failed} failed")
sys.exit(failed > 0)
