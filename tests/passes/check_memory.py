"""Values that are made a second time to stay within a memory limit: the same bits, the limit kept, the least that would do.

usage: check_memory.py NETC

A network with everything whose second computation could differ: dropout, noise, BatchNorm (which moves its statistics once a
step), augmentation, pooling, depthwise and strided convolutions, branches, a gate, an activity regularizer, in two phases."""
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np

netc = os.path.abspath(sys.argv[1])
NET = """
block unit(filters, stride = 1) {
  main = in -> conv2d(filters, 3x3, same, strides = stride) -> batchnorm() -> relu() -> dropout(0.1)
            -> conv2d(filters, 3x3, same) -> batchnorm()
  side = in -> conv2d(filters, 1x1, strides = stride) -> batchnorm()
  add(main, side) -> relu()
}
network net {
  input(24x24x3)
  random_flip(horizontal)
  gaussian_noise(0.1)
  conv2d(8, 3x3, same, name = "stem") -> batchnorm(name = "stem_bn") -> swish()
  unit(8)
  stage = unit(12, 2)
  a = stage -> conv2d(6, 1x1, relu)
  b = stage -> depthwise_conv2d(3x3, same) -> swish()
  c = stage -> maxpool(3x3, strides = 1, padding = same) -> conv2d(4, 1x1, activity_regularizer = l2(1e-3))
  joined = concat(a, b, c)
  gate = joined -> global_avgpool(keepdims = true) -> dense(22, sigmoid)
  multiply(joined, gate)
  zero_padding(1)
  unit(16, 2)
  unit(16)
  avgpool(2x2)
  flatten()
  dense(24, relu)
  dropout(0.3)
  dense(3, softmax)
}
train net {
  loss categorical_crossentropy; metrics accuracy; batch 32; MEMORY
  phase "head" { freeze "stem*"; optimizer adam(1e-3); epochs 1 }
  phase "all" { unfreeze "stem"; optimizer sgd(1e-2, momentum = 0.9); epochs 1 }
}
"""
passed = failed = 0


def check(name, good, why=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED {name} {why}")


def netc_run(*argv):
    return subprocess.run([netc, *argv], capture_output=True, text=True)


def contents(path):
    """Every dataset of a file, by name."""
    out = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, item: out.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return {k: v for k, v in out.items() if k.split("/")[0] not in ("netc", "training_state")}


with tempfile.TemporaryDirectory() as folder:
    data, source, exe = f"{folder}/data.h5", f"{folder}/net.net", f"{folder}/net"
    rng = np.random.RandomState(1)
    with h5py.File(data, "w") as f:
        f["x"] = rng.uniform(-1, 1, (40, 24, 24, 3)).astype(np.float32)
        f["y"] = rng.randint(0, 3, 40).astype(np.int32)

    def write(limit, batch=32, gate="multiply(joined, gate)"):
        with open(source, "w") as f:
            f.write(NET.replace("MEMORY", f"memory {limit}").replace("batch 32", f"batch {batch}")
                    .replace("multiply(joined, gate)", gate))

    def summary():
        done = netc_run("summary", source)
        peak = re.search(r"peak +(\d+) bytes", done.stdout)
        return int(peak.group(1)) if peak else None, done.stdout + done.stderr

    def train():
        done = netc_run("build", source, "-o", exe, "--cflags", "-O0", "--verify-each")
        if done.returncode:
            return sys.exit(done.stdout + done.stderr)
        done = subprocess.run([exe, "train", data, "--save", f"{folder}/out.h5", "--log", f"{folder}/log.csv", "--seed", "3"],
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return open(f"{folder}/log.csv").read(), contents(f"{folder}/out.h5")

    write("unlimited")
    whole, text = summary()
    check("nothing is made again without a limit", "made again" not in text)
    log, weights = train()
    check("statistics moved", any("moving_mean" in name and np.any(w) for name, w in weights.items()))

    # The default, where memory is little: nothing to save.
    write("auto")
    peak, text = summary()
    check("memory auto, little", peak == whole and "made again" not in text, text)

    # Where it is not, and a gate of three inputs is repeated for every pixel: less memory, the same bits.
    repeated = "multiply(joined, joined, gate)"
    write("unlimited", 4096, repeated)
    large, text = summary()
    large_log, large_weights = train()
    write("auto", 4096, repeated)
    peak, text = summary()
    check("memory auto", peak < .97 * large and "made again" in text, f"{peak} of {large}\n{text}")
    other_log, other = train()
    check("memory auto: the log", other_log == large_log)
    for name, value in large_weights.items():
        check(f"memory auto: {name}", np.array_equal(value, other[name]))

    # The message says what would do: exactly that much is enough, and a little less is not.
    write("100KB")
    peak, text = summary()
    least = re.search(r"`memory (\d+)(KB|MB)` would do", text)
    check("the least that would do", peak is None and least, text)
    check("the message shows the limit", re.search(r"\| +\^{12}$", text, re.M), text)
    least_bytes = int(least.group(1)) << {"KB": 10, "MB": 20}[least.group(2)]
    check("the least is less", least_bytes < .8 * whole, f"{least_bytes} of {whole}")

    costs = []
    for limit in (least_bytes, (2 * least_bytes + whole) // 3, (least_bytes + 4 * whole) // 5, whole - 1):
        write(f"{limit // 1024}KB")
        peak, text = summary()
        check(f"limit {limit}", peak is not None and peak <= limit and "made again" in text, f"peak {peak}\n{text}")
        costs.append(float(re.search(r"FLOP per image more, ([\d.]+) %", text).group(1)))
    check("more memory costs less", costs == sorted(costs, reverse=True) and costs[0] > costs[-1], str(costs))
    for limit in (least_bytes, (least_bytes + 4 * whole) // 5):
        write(f"{limit // 1024}KB")
        other_log, other = train()
        check(f"limit {limit}: the log", other_log == log)
        for name, value in weights.items():
            check(f"limit {limit}: {name}", np.array_equal(value, other[name]))
    write(f"{whole // 1024 + 1}KB")
    peak, text = summary()
    check("enough: nothing is made again", peak == whole and "made again" not in text, text)
    done = netc_run("dump", source, "--after", "recompute")
    check("dump", done.returncode == 0 and "function step" in done.stdout)
print(f"memory: {passed} passed, {failed} failed")
sys.exit(failed > 0)
