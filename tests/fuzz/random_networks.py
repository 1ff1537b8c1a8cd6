"""Random networks beside PyTorch in double precision: predictions, and the weights after an epoch of training.

usage: random_networks.py NETC [COUNT [SEED]]

Convolutions of all kinds, poolings, normalizations, branches and joins of random shapes, with random layers frozen, built for a
random instruction set and run by one to three threads.  A number next to a kink (of ReLU, of a maximum) may fall on the other
side in single precision; so a network counts as wrong only if it is wrong for two draws of weights and images."""
import os
import random
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "parity"))
import keras_net as kn  # noqa: E402

RATE = 0.01
WORK = 3e8  # multiply-adds of a batch, at most
CHANNELS = [1, 2, 3, 4, 5, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65, 80, 96, 128, 160]
ACTIVATIONS = {
    "linear": lambda x: x, "relu": F.relu, "relu6": F.relu6, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "elu": F.elu,
    "selu": F.selu, "swish": F.silu, "gelu": F.gelu, "softplus": F.softplus, "softsign": F.softsign, "mish": F.mish,
}
JOINS = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b, "maximum": torch.maximum, "average": lambda a, b: (a + b) / 2}


def out_size(size, kernel, stride, padding):
    return -(-size // stride) if padding == "same" else (size - kernel) // stride + 1


def padded(x, kernel, stride, padding, value=0.0):
    """NCHW with Keras's padding: the odd pixel goes behind. kernel: its rows and columns, dilated."""
    if padding == "valid":
        return x
    around = []
    for size, k in ((x.shape[3], kernel[1]), (x.shape[2], kernel[0])):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        around += [total // 2, total - total // 2]
    return F.pad(x, around, value=value)


def convolution(x, kernel, bias=None, stride=1, dilation=1, groups=1, padding="same"):
    """kernel: [rows, columns, in / groups, out], as Keras keeps it."""
    reach = [(k - 1) * dilation + 1 for k in kernel.shape[:2]]
    return F.conv2d(padded(x, reach, stride, padding), kernel.permute(3, 2, 0, 1).contiguous(), bias, stride, 0, dilation, groups)


def depthwise(x, kernel, bias, stride, padding):
    rows, columns, channels, multiplier = kernel.shape
    spread = kernel.permute(2, 3, 0, 1).reshape(channels * multiplier, 1, rows, columns).contiguous()
    return F.conv2d(padded(x, (rows, columns), stride, padding), spread, bias, stride, 0, 1, channels)


class Network:
    """Lines of a .net file, and of each the function of its inputs (NCHW, or [images, units]), weights and whether it trains."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines, self.steps, self.shapes, self.frozen, self.work = [], [], {}, set(), 0
        self.batch = self.random.randint(2, 6)
        self.images = 2 * self.batch + self.random.choice([0, 2])
        side = self.random.choice([20, 48, 90])
        self.shapes["v0"] = (self.random.randint(3, side), self.random.randint(3, side), self.random.choice([1, 3, 3, 4, 8]))
        value = "v0"
        for _ in range(self.random.randint(3, 14)):
            if self.random.random() < .15:
                value = self.random.choice(list(self.shapes))
            value = self.random.choice([self.conv] * 6 + [self.residual] * 2 + [self.depthwise] * 2 + [self.separable, self.norm,
                                       self.norm, self.pool, self.pool, self.join, self.join, self.concat, self.concat,
                                       self.activation, self.upsampling, self.around, self.layer_norm])(value)
        self.head(value)
        self.keep_used()
        names = [name for *_, name in self.steps if name]
        if self.random.random() < .5:
            self.frozen = set(names[:self.random.randint(0, len(names) - 1)])

    def add(self, call, sources, shape, function, name=None):
        """call: the text after the sources, or with {} where they go; name: of the layer, if it has weights."""
        value = f"v{len(self.lines) + 1}"
        text = call.format(", ".join(sources)) if "{}" in call else f"{sources[0]} -> {call}"
        if name:
            text = text[:-1] + f'{"" if text.endswith("()") else ", "}name = "{name}")'
        self.lines.append((value, f"  {value} = {text}"))
        self.steps.append((value, sources, function, name))
        self.shapes[value] = shape
        return value

    def name(self, kind):
        return f"{kind}{len(self.lines)}"

    def afford(self, work):
        self.work += work * self.batch
        return self.work <= WORK

    def act(self):
        name = self.random.choice(["linear", "relu", "relu", "relu"] + list(ACTIVATIONS))
        return name, ACTIVATIONS[name]

    def conv(self, value):
        height, width, channels = self.shapes[value]
        rows, columns = self.random.choice([(3, 3), (3, 3), (3, 3), (1, 1), (1, 1), (5, 5), (2, 2), (1, 3), (3, 1), (7, 7), (4, 3)])
        stride = self.random.choice([1, 1, 1, 2, 3])
        dilation = self.random.choice([1, 1, 1, 2]) if stride == 1 else 1
        groups = self.random.choice([g for g in range(1, channels + 1) if channels % g == 0]) if self.random.random() < .15 else 1
        out = groups * max(1, self.random.choice(CHANNELS) // groups)
        reach = ((rows - 1) * dilation + 1, (columns - 1) * dilation + 1)
        padding = self.random.choice(["same", "valid"]) if height >= reach[0] and width >= reach[1] else "same"
        size = out_size(height, reach[0], stride, padding), out_size(width, reach[1], stride, padding)
        if not self.afford(size[0] * size[1] * out * channels * rows * columns / groups):
            return value
        name, act = self.act()
        bias = self.random.random() < .7
        call = (f"conv2d({out}, ({rows}, {columns}), {padding}, strides = {stride}, dilation_rate = {dilation}, groups = {groups}, "
                f"activation = {name}, use_bias = {str(bias).lower()})")
        return self.add(call, [value], (*size, out), lambda x, w, _: act(
            convolution(x, w["kernel"], w.get("bias"), stride, dilation, groups, padding)), self.name("conv"))

    def residual(self, value):
        height, width, channels = self.shapes[value]
        kernel = self.random.choice([1, 3])
        if not self.afford(height * width * channels * channels * kernel * kernel):
            return value
        branch = self.add(f"conv2d({channels}, {kernel}x{kernel}, same)", [value], self.shapes[value],
                          lambda x, w, _: convolution(x, w["kernel"], w["bias"]), self.name("conv"))
        if self.random.random() < .5:
            branch = self.norm(branch)
        return self.activation(self.add("add({})", self.random.sample([branch, value], 2), self.shapes[value],
                                        lambda a, b, *_: a + b))

    def depthwise(self, value):
        height, width, channels = self.shapes[value]
        kernel, stride = self.random.choice([2, 3, 3, 3, 5]), self.random.choice([1, 1, 2])
        multiplier = self.random.choice([1, 1, 1, 2])
        padding = self.random.choice(["same", "valid"]) if min(height, width) >= kernel else "same"
        shape = (out_size(height, kernel, stride, padding), out_size(width, kernel, stride, padding), channels * multiplier)
        name, act = self.act()
        deep = self.add(f"depthwise_conv2d({kernel}x{kernel}, {padding}, strides = {stride}, depth_multiplier = {multiplier}, "
                        f"activation = {name})", [value], shape, lambda x, w, _: act(
                            depthwise(x, w.get("depthwise_kernel", w.get("kernel")), w["bias"], stride, padding)),
                        self.name("depthwise"))
        out = self.random.choice(CHANNELS)
        if self.random.random() < .5 or not self.afford(shape[0] * shape[1] * shape[2] * out):
            return deep
        return self.add(f"conv2d({out}, 1x1)", [deep], (*shape[:2], out),
                        lambda x, w, _: convolution(x, w["kernel"], w["bias"]), self.name("conv"))

    def separable(self, value):
        height, width, channels = self.shapes[value]
        out = self.random.choice(CHANNELS)
        if not self.afford(height * width * channels * out):
            return value
        name, act = self.act()
        return self.add(f"separable_conv2d({out}, 3x3, same, activation = {name})", [value], (height, width, out), lambda x, w, _: act(
            convolution(depthwise(x, w["depthwise_kernel"], None, 1, "same"), w["pointwise_kernel"], w["bias"])), self.name("separable"))

    def norm(self, value):
        name = self.name("norm")

        def function(x, w, trains):
            mean, variance = w["moving_mean"], w["moving_variance"]
            if trains and name not in self.frozen:
                mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
                for moving, now in (("moving_mean", mean), ("moving_variance", variance)):
                    w[moving] = w[moving] * .9 + now.detach() * .1
            mean, variance, gamma, beta = (t[:, None, None] for t in (mean, variance, w["gamma"], w["beta"]))
            return (x - mean) / torch.sqrt(variance + 1e-3) * gamma + beta

        return self.add("batchnorm(momentum = 0.9)", [value], self.shapes[value], function, name)

    def layer_norm(self, value):
        return self.add("layer_normalization()", [value], self.shapes[value], lambda x, w, _: F.layer_norm(
            x.permute(0, 2, 3, 1), x.shape[1:2], w["gamma"], w["beta"], 1e-3).permute(0, 3, 1, 2), self.name("layer_norm"))

    def pool(self, value):
        height, width, channels = self.shapes[value]
        size, stride, largest = self.random.choice([2, 2, 3]), self.random.choice([1, 2, 2, 3]), self.random.random() < .5
        padding = self.random.choice(["same", "valid"]) if min(height, width) >= size else "same"
        shape = (out_size(height, size, stride, padding), out_size(width, size, stride, padding), channels)

        def function(x, *_):
            if largest:
                return F.max_pool2d(padded(x, (size, size), stride, padding, -np.inf), size, stride)
            inside = padded(torch.ones_like(x[:1, :1]), (size, size), stride, padding)
            return F.avg_pool2d(padded(x, (size, size), stride, padding), size, stride) / F.avg_pool2d(inside, size, stride)

        return self.add(f"{'max' if largest else 'avg'}pool({size}, strides = {stride}, padding = {padding})", [value], shape, function)

    def activation(self, value):
        name, act = self.act()
        return self.add(f"activation({name})", [value], self.shapes[value], lambda x, *_: act(x))

    def join(self, value):
        others = [v for v in self.shapes if v != value and self.shapes[v] == self.shapes[value]]
        if not others:
            return value
        name = self.random.choice(list(JOINS))
        return self.add(name + "({})", [value, self.random.choice(others)], self.shapes[value], lambda a, b, *_: JOINS[name](a, b))

    def concat(self, value):
        others = [v for v in self.shapes if self.shapes[v][:2] == self.shapes[value][:2]]
        values = [value] + [self.random.choice(others) for _ in range(self.random.randint(1, 2))]
        channels = sum(self.shapes[v][2] for v in values)
        if channels > 300:
            return value
        return self.add("concat({})", values, (*self.shapes[value][:2], channels), lambda *x: torch.cat(x[:-2], 1))

    def upsampling(self, value):
        height, width, channels = self.shapes[value]
        if height * width * channels > 50000:
            return value
        return self.add("upsampling((2, 1))", [value], (2 * height, width, channels), lambda x, *_: x.repeat_interleave(2, 2))

    def around(self, value):
        height, width, channels = self.shapes[value]
        if self.random.random() < .5 and min(height, width) > 3:
            return self.add("cropping(((1, 0), (0, 2)))", [value], (height - 1, width - 2, channels), lambda x, *_: x[:, :, 1:, :-2])
        return self.add("zero_padding(((1, 0), (0, 2)))", [value], (height + 1, width + 2, channels),
                        lambda x, *_: F.pad(x, (0, 2, 1, 0)))

    def head(self, value):
        height, width, channels = self.shapes[value]
        if height * width * channels < 60000 and self.random.random() < .5:
            value = self.add("flatten()", [value], None, lambda x, *_: x.permute(0, 2, 3, 1).flatten(1))
        else:
            value = self.add("global_avgpool()", [value], None, lambda x, *_: x.mean((2, 3)))
        for units in [self.random.choice([5, 60, 120]) for _ in range(self.random.randint(0, 2))] + [3]:
            name, act = self.act() if units > 3 else ("softmax", lambda x: torch.softmax(x, 1))
            value = self.add(f"dense({units}, {name})", [value], None, lambda x, w, _, act=act: act(x @ w["kernel"] + w["bias"]),
                             self.name("dense"))

    def keep_used(self):
        """Only what leads to the last value."""
        used = {self.lines[-1][0]}
        for value, sources, *_ in reversed(self.steps):
            if value in used:
                used.update(sources)
        self.steps = [step for step in self.steps if step[0] in used]
        self.lines = [line for line in self.lines if line[0] in used]

    def text(self):
        height, width, channels = self.shapes["v0"]
        return "\n".join(["network random {", f"  v0 = input({height}x{width}x{channels})"] + [line for _, line in self.lines] +
                         [f'  freeze "{name}"' for name in sorted(self.frozen)] +
                         ["}", "train random { loss categorical_crossentropy; optimizer sgd(%g); batch %d; epochs 1; shuffle false }" %
                          (RATE, self.batch), ""])

    def run(self, x, weights, trains):
        values = {"v0": x}
        for value, sources, function, name in self.steps:
            values[value] = function(*(values[s] for s in sources), weights.get(name), trains)
        return values[value]

    def train(self, x, y, weights):
        """Weights after an epoch, and the largest gradient of each."""
        learns = [(layer, key) for layer in weights for key in weights[layer]
                  if layer not in self.frozen and not key.startswith("moving")]
        largest = {}
        for begin in range(0, len(x), self.batch):
            for layer, key in learns:
                weights[layer][key].requires_grad_(True)
            p = self.run(x[begin:begin + self.batch], weights, True)
            labels = y[begin:begin + self.batch]
            loss = -torch.log(p.clamp(1e-7, 1 - 1e-7)[range(len(labels)), labels]).mean()
            grads = torch.autograd.grad(loss, [weights[layer][key] for layer, key in learns], allow_unused=True)
            for (layer, key), grad in zip(learns, grads):
                if grad is not None:
                    weights[layer][key] = weights[layer][key].detach() - RATE * grad
                    largest[layer, key] = max(largest.get((layer, key), 0), float(grad.abs().max()))
        return largest


def draw(program, network, folder, seed):
    """What is wrong for one draw of weights and images."""
    numbers = np.random.RandomState(seed)
    x = numbers.uniform(-1, 1, (network.images, *network.shapes["v0"])).astype(np.float32)
    y = numbers.randint(0, 3, network.images)
    data, before, after, out = (f"{folder}/{name}.h5" for name in ("data", "before", "after", "out"))
    with h5py.File(data, "w") as f:
        f["x"], f["y"] = x, y.astype(np.int32)
    kn.run([program, "train", data, "--epochs", "0", "--save", before, "--seed", str(seed)])
    start = {layer: w for layer, w in kn.read_weights(before).items() if w}
    for w in start.values():
        for key in w:
            if key in ("bias", "beta", "moving_mean"):
                w[key] = numbers.uniform(-.3, .3, w[key].shape)
            elif key in ("gamma", "moving_variance"):
                w[key] = numbers.uniform(.5, 1.5, w[key].shape)
    kn.write_weights(before, start)
    threads = ["--threads", str(1 + seed % 3)]
    kn.run([program, "predict", data, "--weights", before, "--out", out] + threads)
    kn.run([program, "train", data, "--weights", before, "--save", after] + threads)
    weights = {layer: {key: torch.tensor(np.float32(a), dtype=torch.float64) for key, a in w.items()} for layer, w in start.items()}
    images = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
    wrong = []
    with torch.no_grad(), h5py.File(out) as f:
        off = float(np.abs(f["y"][()] - network.run(images, weights, False).numpy()).max())
    if not off < 2e-4:
        wrong.append(f"predictions off by {off:.2g}")
    largest = network.train(images, torch.tensor(y), weights)
    most = max(largest.values())
    for layer, w in kn.read_weights(after).items():
        for key, got in w.items():
            want = weights[layer][key].detach().numpy()
            off = np.abs(got - want).max() - 1e-6 * np.abs(want).max()
            step = RATE * (largest.get((layer, key), 0) + 1e-3 * most)
            if not off < (1e-4 * max(np.abs(want).max(), 1e-3) if key.startswith("moving") else 5e-3 * step):
                wrong.append(f"{layer}/{key} off by {off:.2g}, a step is {step:.2g}")
    return wrong


def main():
    netc = os.path.abspath(sys.argv[1])
    count, first = (int(text) for text in sys.argv[2:] + ["10", "1"][len(sys.argv) - 2:])
    torch.set_num_threads(1)
    failed = 0
    for seed in range(first, first + count):
        network = Network(seed)
        flags = network.random.choice([[], [], ["--isa", "avx2"], ["--exact"], ["--portable"]])
        with tempfile.TemporaryDirectory() as folder:
            program = kn.build(netc, network.text(), folder, "random", "--cflags", "-O0", "--verify-each", *flags)
            wrong = draw(program, network, folder, seed) and draw(program, network, folder, seed + 100000)
        if wrong:
            failed += 1
            print(f"FAILED network {seed} {' '.join(flags)}: {'; '.join(wrong[:5])}\n{network.text()}")
    print(f"{count - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
