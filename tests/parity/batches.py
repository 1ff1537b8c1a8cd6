"""Convolutions whose algorithm depends on the number of images, and those that pool while they store, against NumPy: each
batch size gives the same network's numbers.

usage: batches.py NETC GOLDEN"""
import sys
import tempfile

import numpy as np

import keras_net as kn

netc = sys.argv[1]
folder = tempfile.TemporaryDirectory()
random = np.random.RandomState(4)
failed = passed = 0


def conv_same(x, w, b):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    h, wide = x.shape[1:3]
    return sum(padded[:, i:i + h, j:j + wide] @ w[i, j] for i in range(3) for j in range(3)) + b


def max_pool(x):
    h, w = x.shape[1] // 2, x.shape[2] // 2
    return x[:, :2 * h, :2 * w].reshape(len(x), h, 2, w, 2, -1).max((2, 4))


# input, filters, pooled: small images with large weights, which a few images take directly; tiles with rows and
# columns outside the image; weights too large for a thread's own cache
for number, (shape, filters, pool) in enumerate([((6, 6, 512), 512, False), ((7, 7, 384), 512, True),
                                                 ((13, 11, 256), 300, True), ((26, 25, 64), 96, True),
                                                 ((12, 12, 512), 256, True)]):
    name = f"batch{number}"
    out = (shape[0] // 2, shape[1] // 2, filters) if pool else (*shape[:2], filters)
    library = kn.Library(netc, f"network {name} {{ input({'x'.join(map(str, shape))})\n conv2d({filters}, 3x3, same, relu, "
                         f"name = \"c\")\n{' maxpool(2x2)' if pool else ''}\n}}\n", folder.name, name, "--infer")
    w, b = random.randn(3, 3, shape[2], filters) * .02, random.randn(filters) * .1
    library.set("c/kernel", w)
    library.set("c/bias", b)
    x = random.rand(18, *shape).astype(np.float32)
    want = np.maximum(conv_same(x.astype(np.float64), w.astype(np.float32).astype(np.float64), b), 0)
    want = max_pool(want) if pool else want
    for n in (1, 2, 5, 6, 16, 18):
        got = library.predict(x[:n], int(np.prod(out))).reshape(n, *out)
        # Winograd's rounding, as stated and tested in runtime/kernels: 4e-5 of the largest output
        worst = np.abs(got - want[:n]).max() / np.abs(want).max()
        if worst <= 5e-5:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name} {shape} x {filters}, {n} images: off by {worst:.3g} of the largest")
    library.close()

print(f"batches: {passed} passed, {failed} failed")
sys.exit(failed > 0)
