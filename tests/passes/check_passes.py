"""Results do not change when a pass is left out, nor with the number of threads.

usage: check_passes.py NETC

One network with branches, a residual, BatchNorm frozen and not, a frozen prefix, dropout off: trained for a few steps with
each pass left out in turn.  `fold` multiplies in another order and `fuse` lets dense layers start their sums from the bias, so
those two agree within rounding; all others must give the same bits."""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

netc = os.path.abspath(sys.argv[1])
NET = """
block unit(filters) {
  shortcut = in
  main = in -> conv2d(filters, 3x3, same) -> batchnorm() -> relu() -> conv2d(filters, 3x3, same) -> batchnorm()
  add(main, shortcut) -> relu()
}
network mixed {
  input(12x12x3)
  base = conv2d(8, 3x3, same, name = "stem") -> batchnorm(name = "stem_bn") -> relu()
  freeze "stem*"
  unit(8)
  a = in_ -> conv2d(4, 1x1, relu)
  b = in_ -> depthwise_conv2d(3x3, same) -> swish()
  concat(a, b)
  global_avgpool()
  dense(6, relu)
  dense(3, softmax)
}
train mixed { loss categorical_crossentropy; optimizer adam(1e-2); metrics accuracy; batch 5; epochs 2; shuffle false }
"""
NET = NET.replace("  unit(8)\n", "  in_ = base -> unit(8)\n")
# Branches that write straight into their channels of a concatenation, and those that must not: read by something else, twice in
# one, along another axis, of a concatenation within one, the result itself.
BRANCHES = """
network branches {
  input(13x11x3)
  stem = conv2d(8, 3x3, same, relu)
  a = stem -> conv2d(6, 1x1, relu)
  b = stem -> conv2d(5, 3x3, same)
  c = stem -> maxpool(3x3, strides = 1, padding = same)
  d = stem -> avgpool(3x3, strides = 1, padding = same)
  wide = concat(b, concat(a, c), d)
  e = wide -> conv2d(7, 3x3, same, relu)
  f = e -> depthwise_conv2d(3x3, same, relu)
  g = f -> conv2d(4, 1x1)
  inner = concat(f, g)
  h = inner -> conv2d(9, 1x1, relu)
  twice = concat(h, h, inner)
  i = twice -> conv2d(6, 3x3, same)
  j = twice -> maxpool(3x3, strides = 1, padding = same)
  joined = concat(i, j)
  k = i -> swish()
  rows = concat(joined, joined, axis = 1)
  l = rows -> conv2d(5, 1x1, relu)
  m = rows -> avgpool(2x2, strides = 1, padding = same)
  both = concat(l, m)
  n = both -> conv2d(6, 1x1)
  o = k -> upsampling((2, 1)) -> conv2d(3, 1x1)
  concat(n, o)
}
train branches { loss mse; optimizer sgd; epochs 1 }
"""
# Depthwise convolutions between 1x1 convolutions, wide enough to be expanded a band of rows at a time, and a narrow one.
INVERTED = """
block inverted(wide, filters, stride) {
  conv2d(wide, 1x1, use_bias = false) -> batchnorm() -> relu6()
  zero_padding(1) -> depthwise_conv2d(3x3, strides = stride) -> batchnorm() -> swish()
  conv2d(filters, 1x1, relu)
}
network inverted_blocks {
  input(45x43x3)
  a = conv2d(6, 3x3, same, relu)
  b = a -> inverted(40, 6, 1)
  c = add(a, b) -> inverted(48, 9, 2)
  c -> depthwise_conv2d(5x5, same, relu) -> conv2d(7, 1x1)
}
train inverted_blocks { loss mse; optimizer sgd; epochs 1 }
"""
# BatchNorms whose readers normalise what they read: all but those before a swish, a sum and a 3x3 convolution.
DEFERRED = """
network deferred {
  input(33x29x3)
  conv2d(24, 3x3, same) -> batchnorm() -> relu6()
  depthwise_conv2d(3x3, same) -> batchnorm() -> relu()
  a = conv2d(40, 1x1)
  b = a -> batchnorm() -> relu6() -> zero_padding(1) -> depthwise_conv2d(3x3, strides = 2) -> batchnorm(scale = false)
  c = b -> conv2d(18, 1x1) -> batchnorm()
  d = b -> depthwise_conv2d(5x5, same) -> batchnorm(center = false) -> swish() -> conv2d(18, 1x1) -> batchnorm()
  add(c, d) -> relu()
  conv2d(12, 1x1) -> batchnorm() -> relu() -> conv2d(5, 3x3)
  flatten()
  dense(3)
}
train deferred { loss mse; optimizer adam(1e-2); epochs 2; batch 4 }
"""
# The same network twice: padding by layers of its own, and by the layers that read it.
PADDED = """
network padded {{
  input(16x32x3)
  {pad}conv2d(5, 3x3, {kind}, strides = 2, use_bias = false)
  batchnorm() -> relu()
  {pad}maxpool(3x3, strides = 2, {kind})
  {pad}depthwise_conv2d(3x3, {kind}, strides = 2, activation = tanh)
  {around}conv2d(4, 3x3, {kind})
  {around}conv2d(16, 3x3, {kind}, relu) -> global_avgpool() -> dense(3, softmax)
}}
train padded {{ loss categorical_crossentropy; optimizer adam(1e-2); metrics accuracy; batch 5; epochs 2; shuffle false }}
"""
# Large enough for Winograd, whose gradients read through poolings and activations; odd sizes; poolings and activations that they
# do not read through.
POOLS = """
network pools {
  input(45x64x3)
  conv2d(24, 3x3, same, relu)
  conv2d(40, 3x3, same, relu)
  maxpool(2x2)
  conv2d(80, 3x3, same, relu6)
  conv2d(72, 3x3, same)
  maxpool(2x2)
  conv2d(40, 3x3, same, tanh)
  maxpool(3x3, strides = 2, padding = same)
  a = conv2d(16, 1x1, relu)
  b = a -> maxpool(2x2)
  c = a -> avgpool(2x2)
  add(b, c)
  flatten()
  dense(3, softmax)
}
train pools { loss categorical_crossentropy; optimizer sgd(1e-2); batch 5; epochs 2; shuffle false; MEMORY }
"""
# Gradients that meet: behind residuals, with a stride in both branches, of four branches; through clamps and another activation,
# into a BatchNorm whose convolution has a bias; a transposed convolution.
MEET = """
network meet {
  input(21x19x3)
  a = conv2d(24, 3x3, same, relu)
  b = a -> conv2d(16, 1x1) -> batchnorm() -> relu() -> conv2d(24, 3x3, same) -> batchnorm()
  c = add(a, b) -> relu()
  d = c -> conv2d(40, 1x1, strides = 2)
  e = c -> conv2d(20, 1x1, strides = 2, activation = relu6) -> conv2d(40, 3x3, same) -> batchnorm()
  f = add(d, e) -> relu6()
  g = f -> conv2d(8, 1x1, relu)
  h = f -> conv2d(12, 3x3, same, tanh) -> conv2d(9, 5x5, same)
  i = f -> maxpool(3x3, strides = 1, padding = same) -> conv2d(7, 1x1)
  j = f -> depthwise_conv2d(3x3, same) -> conv2d(6, 1x1)
  concat(g, h, i, j) -> relu()
  conv2d_transpose(14, 3x3, strides = 2, activation = swish) -> conv2d(10, 3x3, groups = 2)
  global_avgpool() -> dense(3, softmax)
}
train meet { loss categorical_crossentropy; optimizer sgd(0.05); batch 5; epochs 2; shuffle false; memory unlimited }
"""
# Values too large for a cache on both sides of a layer rich in weights: two runs of micro-batches, a value that the first hands
# to the second, branches of a concatenation inside one, values that a run reads first and others that it makes last.
WIDE = """
network wide {
  input(64x64x3)
  a = conv2d(40, 3x3, same, relu)
  b = a -> conv2d(40, 1x1) -> batchnorm() -> swish()
  c = add(a, b) -> relu()
  d = c -> conv2d(24, 3x3, same)
  i = c -> conv2d(6, 1x1)
  e = c -> maxpool(3x3, strides = 1, padding = same)
  f = concat(d, e) -> conv2d(16, 3x3, strides = 4, padding = same, activation = relu)
  g = f -> flatten() -> dense(1024) -> dense(1024, tanh) -> reshape((16, 16, 4)) -> upsampling(4)
  h = concat(i, g) -> conv2d(48, 3x3, same, relu) -> conv2d(48, 1x1, relu)
  h -> conv2d(12, 3x3, same) -> flatten() -> dense(64, tanh) -> dense(5)
}
train wide { loss mse; optimizer sgd; epochs 1 }
"""
# Values of 1024 and 2048 channels: a chain of residuals whose pixels lie apart, one that an activation reads and that takes its
# residual with it, a concatenation of both kinds, a residual that is a product. Values of 512: one that windows read.
APART = """
network apart {
  input(5x6x3)
  a = conv2d(1024, 1x1, relu)
  b = a -> conv2d(32, 1x1, relu) -> conv2d(1024, 1x1)
  c = add(a, b) -> relu()
  d = c -> conv2d(20, 3x3, same) -> conv2d(1024, 1x1)
  e = add(c, d) -> relu()
  f = c -> maxpool(3x3, strides = 1, padding = same)
  g = concat(e, f) -> depthwise_conv2d(3x3, same) -> conv2d(1024, 1x1)
  h = g -> conv2d(16, 1x1) -> conv2d(1024, 1x1)
  i = add(g, h) -> swish() -> conv2d(1024, 1x1, relu)
  j = i -> global_avgpool() -> dense(7)
  k = i -> conv2d(1024, 1x1) -> flatten() -> dense(7)
  l = i -> conv2d(1024, 1x1) -> avgpool(2x2, strides = 1, padding = same)
  m = multiply(l, l)
  n = m -> conv2d(12, 1x1) -> conv2d(1024, 1x1)
  o = add(m, n) -> relu() -> conv2d(3, 1x1) -> flatten() -> dense(7)
  p = a -> conv2d(512, 1x1) -> depthwise_conv2d(3x3, same) -> conv2d(512, 1x1, relu) -> conv2d(2, 1x1) -> flatten() -> dense(7)
  add(j, k, o, p)
}
train apart { loss mse; optimizer sgd(1e-4); epochs 1 }
"""
# A frozen part in micro-batches, cached, and as variants of which each image has its own.
FROZEN = """
network frozen {
  input(80x80x3)
  random_flip(horizontal)
  conv2d(48, 3x3, same, relu, name = "f1") -> conv2d(48, 1x1, relu, name = "f2") -> maxpool(2x2)
  freeze all
  conv2d(8, 3x3, strides = 2, relu)
  global_avgpool() -> dense(2)
}
train frozen { loss mse; optimizer sgd(1e-2); batch 24; epochs 3; silence NT014; cache CACHE }
"""
passed = failed = 0


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")


def build(programs):
    """(source, executable, options of netc build) each, two at a time: compiling is most of what this test does."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = [pool.submit(run, netc, "build", source, "-o", exe, "--cflags", "-O0", *options) for source, exe, options in programs]
        for one in done:
            one.result()


def check(name, good, why=""):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    if not good:
        print(f"FAILED {name} {why}")


with tempfile.TemporaryDirectory() as folder:
    source, data, start = f"{folder}/mixed.net", f"{folder}/data.h5", f"{folder}/start.h5"
    with open(source, "w") as f:
        f.write(NET)
    rng = np.random.RandomState(1)
    with h5py.File(data, "w") as f:
        f["x"] = rng.uniform(-1, 1, (17, 12, 12, 3)).astype(np.float32)
        f["y"] = rng.randint(0, 3, 17).astype(np.int32)

    without = ("freeze", "fuse", "dce", "hoist", "schedule", "plan", "fold")
    build([(source, f"{folder}/mixed", ["--verify-each"])] +
          [(source, f"{folder}/mixed_{name}", ["--verify-each", "--disable-pass", name]) for name in without])

    def outcome(disabled=None, threads=2):
        exe, out, log, pred = (f"{folder}/{n}" for n in ("mixed", "out.h5", "log.csv", "pred.h5"))
        if disabled:
            exe = f"{exe}_{disabled}"
        run(exe, "train", data, "--save", out, "--log", log, "--threads", str(threads), "--seed", "3")
        run(exe, "predict", data, "--weights", out, "--out", pred)
        with h5py.File(pred) as f:
            return open(log).read(), f["y"][()]

    def same_without(name, net, x, outputs):
        """Without the pass `name` the network, of `outputs` floats an image, predicts the same bits."""
        network = re.search(r"^network (\w+)", net, re.M).group(1)
        exe, images, weights, out = (f"{folder}/{n}" for n in (network, "x.h5", "w.h5", "y.h5"))
        with open(f"{exe}.net", "w") as f:
            f.write(net)
        with h5py.File(images, "w") as f:
            f["x"] = x.astype(np.float32)
            f["y"] = np.zeros((len(x), outputs), np.float32)
        results = []
        build([(f"{exe}.net", exe, []), (f"{exe}.net", f"{exe}_without", ["--disable-pass", name])])
        for program in (exe, f"{exe}_without"):
            run(program, "train", images, "--save", weights, "--seed", "3")
            run(program, "predict", images, "--weights", weights, "--out", out)
            with h5py.File(out) as f:
                results.append(f["y"][()])
        worst = float(np.abs(results[0] - results[1]).max())
        check(f"{network} without {name}", np.array_equal(*results) and np.ptp(results[0]) > 0, f"off by {worst:.3g}")

    def weights_of(program, images, threads=2):
        """The weights that a program has trained on images.h5."""
        run(f"{folder}/{program}", "train", f"{folder}/{images}.h5", "--save", f"{folder}/trained.h5", "--threads", str(threads),
            "--seed", "3")
        weights = {}
        with h5py.File(f"{folder}/trained.h5") as f:
            f.visititems(lambda key, item: weights.__setitem__(key, item[()]) if isinstance(item, h5py.Dataset) else None)
        return {k: v for k, v in weights.items() if k.split("/")[0] not in ("netc", "training_state")}

    log, pred = outcome()
    for threads in (1, 3):
        other_log, other = outcome(threads=threads)
        check(f"{threads} threads", other_log == log and np.array_equal(other, pred))
    for disabled in without:
        other_log, other = outcome(disabled)
        worst = float(np.abs(other - pred).max())
        if disabled in ("fold", "fuse"):
            check(disabled, worst < 1e-4, f"off by {worst:.3g}")
        else:
            check(disabled, other_log == log and np.array_equal(other, pred), f"off by {worst:.3g}")
    with h5py.File(f"{folder}/pools.h5", "w") as f:
        f["x"] = rng.uniform(-1, 1, (10, 45, 64, 3)).astype(np.float32)
        f["y"] = rng.randint(0, 3, 10).astype(np.int32)
    with open(f"{folder}/pools.net", "w") as f:
        f.write(POOLS.replace("MEMORY", "memory auto"))
    run(netc, "tune", f"{folder}/pools.net", "-o", f"{folder}/pools.tune", "--seconds", "1", "--cflags", "-O0")
    measured = open(f"{folder}/pools.tune").read()
    for tile in (4, 5, 6):
        with open(f"{folder}/tile{tile}.tune", "w") as f:
            f.write(re.sub(r" = \w.*", f" = winograd{tile}", measured))
    with open(f"{folder}/kept.net", "w") as f:
        f.write(POOLS.replace("MEMORY", "memory unlimited"))
    ways = {"default": ("pools", ["--no-tune"]), "all kept": ("kept", []), "exact": ("pools", ["--exact"]),
            "not fused": ("pools", ["--no-tune", "--disable-pass", "fuse"]),
            **{f"tiles of {tile}": ("pools", ["--tune", f"{folder}/tile{tile}.tune"]) for tile in (4, 5, 6)}}
    build([(f"{folder}/{net}.net", f"{folder}/{name}", ["--verify-each", *options]) for name, (net, options) in ways.items()])
    trained = {}
    for name in ways:
        for threads in (1, 2, 3) if name == "default" else (2,):
            trained[f"{name}, {threads} threads"] = weights_of(name, "pools", threads)
    base = trained["default, 2 threads"]
    check("pools: there are weights", len(base) >= 14, str(len(base)))
    for name, weights in trained.items():
        worst = max(float(np.abs(weights[key] - base[key]).max()) for key in base)
        same = name.startswith(("default", "all kept"))
        check(f"pools: {name}", worst == 0 if same else worst < 2e-4, f"off by {worst:.3g}")
    with h5py.File(f"{folder}/meet.h5", "w") as f:
        f["x"] = rng.uniform(-1, 1, (10, 21, 19, 3)).astype(np.float32)
        f["y"] = rng.randint(0, 3, 10).astype(np.int32)
    with open(f"{folder}/meet.net", "w") as f:
        f.write(MEET)
    ways = {"default": [], "exact": ["--exact"], "not planned": ["--disable-pass", "plan"], "not fused": ["--disable-pass", "fuse"]}
    build([(f"{folder}/meet.net", f"{folder}/{name}", ["--verify-each", *options]) for name, options in ways.items()])
    trained = [weights_of(name, "meet") for name in ways]
    for name, weights in zip(ways, trained):
        worst = max(float(np.abs(weights[key] - trained[0][key]).max()) for key in weights)
        check(f"meet: {name}", len(weights) >= 30 and (worst == 0 if name in ("default", "not planned") else worst < 1e-4), f"off by {worst:.3g}")
    text = subprocess.run([netc, "dump", f"{folder}/meet.net", "--after", "fuse"], capture_output=True, text=True).stdout
    step = text[text.index("function step"):]
    meets = [line for line in step.splitlines() if "conv2d_bwd_x" in line and "residual" in line]
    check("gradients that meet", (len(meets), sum("masked" in line for line in meets)) == (4, 3) and step.count(" = zeros()") == 3,
          "\n".join(meets))
    # Cross-entropies take their gradient through the softmax or sigmoid before them, and only where that is what it is.
    for head, loss, through in (("dense(3, softmax)", "categorical_crossentropy", 1), ("dense(3) -> softmax()", "sparse_categorical_crossentropy", 1),
                                ("dense(1, sigmoid)", "binary_crossentropy(label_smoothing = 0.1)", 1), ("dense(3, softmax)", "mse", 0),
                                ("dense(3, softmax)", "categorical_crossentropy(from_logits = true)", 0), ("dense(1, tanh)", "binary_crossentropy", 0),
                                ("dense(2, sigmoid)", "categorical_crossentropy", 0)):
        with open(f"{folder}/head.net", "w") as f:
            f.write(f"network head {{ input(5x5x1); flatten(); {head} }}\ntrain head {{ loss {loss}; optimizer sgd; batch 4 }}\n")
        text = subprocess.run([netc, "dump", f"{folder}/head.net", "--after", "fuse"], capture_output=True, text=True).stdout
        check(f"{head} with {loss}", text.count("by logits") == through and "function step" in text, text)
    same_without("plan", BRANCHES, rng.uniform(-1, 1, (5, 13, 11, 3)), 26 * 11 * 9)
    run(netc, "emit", f"{folder}/branches.net", "-o", folder)
    forward = re.findall(r"^static void branches_forward_.*?^}", open(f"{folder}/branches.c").read(), re.M | re.S)
    copies = sum(text.count("  copy_rows(") for text in forward)
    check("branches write into their concatenation", copies == 6, f"{copies} copies")
    same_without("pair", INVERTED, rng.uniform(-1, 1, (5, 45, 43, 3)), 23 * 22 * 7)
    run(netc, "emit", f"{folder}/inverted_blocks.net", "-o", folder, "--infer")
    text = open(f"{folder}/inverted_blocks.c").read()
    pairs, wide = text.count("  depthwise_pointwise_fwd("), text.count("&(const Expansion){")
    check("convolutions that go together", (pairs, wide) == (3, 2), f"{pairs}, {wide} with an expansion")
    same_without("defer", DEFERRED, rng.uniform(-1, 1, (11, 33, 29, 3)), 3)
    run(netc, "emit", f"{folder}/deferred.net", "-o", folder)
    text = open(f"{folder}/deferred.c").read()
    counts = text.count("  batchnorm_train_deferred("), text.count("  batchnorm_train_fwd("), len(re.findall("_mapped\\(&", text))
    check("BatchNorms that their readers make", counts == (4, 4, 10), str(counts))
    same_without("microbatch", WIDE, rng.uniform(-1, 1, (21, 64, 64, 3)), 5)
    run(netc, "emit", f"{folder}/wide.net", "-o", folder, "--infer")
    runs = open(f"{folder}/wide.c").read().count("  wide_in_parts(m, n, ")
    check("runs of micro-batches", runs == 2, f"{runs}")
    # Of 16 and 5 images threads take some each and what is left together, or all together where they are more than images.
    results = set()
    for threads in (1, 2, 3, 7):
        run(f"{folder}/wide", "predict", f"{folder}/x.h5", "--weights", f"{folder}/w.h5", "--out", f"{folder}/y.h5", "--threads",
            str(threads))
        with h5py.File(f"{folder}/y.h5") as f:
            results.add(f["y"][()].tobytes())
    check("micro-batches on any number of threads", len(results) == 1, f"{len(results)} results")
    same_without("plan", APART, rng.uniform(-1, 1, (5, 5, 6, 3)), 7)
    run(netc, "emit", f"{folder}/apart.net", "-o", folder, "--infer")
    text = open(f"{folder}/apart.c").read()
    rows = [int(text.count(f".in_ld = {ld},") > 0) for ld in (1040, 1024, 2064, 528, 512)]
    check("pixels of many channels apart", rows == [1, 1, 1, 1, 1] and ", 1024, 1040, " in text, f"{rows}")
    for cache, functions in (("memory variants 2", ("forward", "features", "varied")), ("off", ("forward",))):
        net = FROZEN.replace("CACHE", cache)
        same_without("microbatch", net, rng.uniform(-1, 1, (29, 80, 80, 3)), 2)
        text = subprocess.run([netc, "dump", f"{folder}/frozen.net", "--after", "microbatch"], capture_output=True, text=True).stdout
        for function in functions:
            body = re.search(r"^function \w*" + function + r"\w* \{$(.*?)^}", text, re.M | re.S)
            check(f"{function} in micro-batches, cache {cache}", bool(body) and "f2 (micro-batch)" in body.group(1), text)
    results = []
    for pad, around, kind in (("", "", "same"),
                              ("zero_padding(((0, 1), (0, 1))) -> ", "zero_padding(1) -> ", "valid")):
        with open(f"{folder}/padded.net", "w") as f:
            f.write(PADDED.format(pad=pad, around=around, kind=kind))
        with h5py.File(f"{folder}/x.h5", "w") as f:
            f["x"] = np.random.RandomState(2).uniform(-1, 1, (10, 16, 32, 3)).astype(np.float32)
            f["y"] = np.arange(10, dtype=np.int32) % 3
        run(netc, "build", f"{folder}/padded.net", "-o", f"{folder}/padded", "--cflags", "-O0")
        run(f"{folder}/padded", "train", f"{folder}/x.h5", "--save", f"{folder}/w.h5", "--log", f"{folder}/log.csv",
            "--threads", "2", "--seed", "3")
        run(f"{folder}/padded", "predict", f"{folder}/x.h5", "--weights", f"{folder}/w.h5", "--out", f"{folder}/y.h5")
        with h5py.File(f"{folder}/y.h5") as f:
            results.append((open(f"{folder}/log.csv").read(), f["y"][()].tobytes()))
    check("padding by layers of its own", results[0] == results[1])
    text = subprocess.run([netc, "dump", f"{folder}/padded.net", "--after", "dce"], capture_output=True, text=True).stdout
    check("no padding is left", "zero_padding" not in text and "crop" not in text)
    with open(f"{folder}/light.net", "w") as f:
        f.write("network light { input(8x8x3); normalization(); conv2d(4, 3x3); flatten(); dense(2, softmax) }\n"
                "train light { loss categorical_crossentropy; optimizer adam; batch 4 }\n")
    light = subprocess.run([netc, "summary", f"{folder}/light.net"], capture_output=True, text=True).stdout
    check("nothing heavy is frozen: no cache", "training step" in light and "once per image" not in light, light)
    check("a layer without trainable weights", re.search(r"^normalization .* 7  no ", light, re.M) is not None, light)
    for name in ("freeze", "lower", "autodiff", "fold", "fuse", "dce", "select", "pair", "defer", "hoist", "microbatch", "recompute", "schedule", "plan"):
        done = subprocess.run([netc, "dump", source, "--after", name], capture_output=True, text=True)
        check(f"dump {name}", done.returncode == 0 and (name == "freeze" or "function forward" in done.stdout))
print(f"passes: {passed} passed, {failed} failed")
sys.exit(failed > 0)
