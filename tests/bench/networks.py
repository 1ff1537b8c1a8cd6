#!/usr/bin/env python3
"""Training steps and predictions of netc's programs beside the peers that are installed: `make bench`.

  networks.py NETC FOLDER [JOB...]      jobs: `step` or `predict`, a network's name, or both as step:NAME

Peers: PyTorch (python3 -c 'import torch'), for predictions also ONNX Runtime (node and the package onnxruntime-node,
found as node finds packages: NODE_PATH; its models are written by PyTorch).  Environment: ROUNDS, SECONDS of a turn,
THREADS, BATCHES of predictions ("1 32"), PEERS to look for ("torch ort").

Long-lived workers take turns, in an order that changes from round to round; a row says the median of all rounds and
the median over rounds of the ratio within a round.  Memory is the most that the process held.  The feature cache is
off: every step computes the frozen part.  "1 to 2 threads": netc with all threads beside netc with one."""
import json
import os
import random
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", "5")), float(os.environ.get("SECONDS", "1"))
QUIET = 20
THREADS = int(os.environ.get("THREADS", min(2, len(os.sched_getaffinity(0)))))
BATCHES = [int(batch) for batch in os.environ.get("BATCHES", "1 32").split()]
PEERS = os.environ.get("PEERS", "torch ort").split()

NAIVE = ("network %s { input(100x100x1)\n conv2d(32, 3x3, same, relu)\n conv2d(64, 3x3, same, relu)\n maxpool(2x2)\n"
         " flatten()\n dense(120, relu)\n dropout(0.25)\n dense(60, relu)\n dropout(0.4)\n dense(3, softmax) }\n")
VGG = ('import "zoo/vgg16.net"\nnetwork %%s { input(100x100x3)\n base = vgg16(include_top = false%s)\n%s'
       ' dense(3, softmax) }\n')
ZOO = 'import "zoo/%s.net"\nnetwork %%s { input(%dx%dx3)\n base = %s() }\n'
TRAIN = "train %s { loss categorical_crossentropy; optimizer %s(1e-4); batch %d; silence NT003, NT012 }\n"


def zoo(name, size=224):
    return ZOO % (name, size, size, name)


STEPS = {  # name: (batch, text, optimizer)
    "naive_cnn": (32, NAIVE, "adam"),
    "vgg16_frozen": (32, VGG % ("", " freeze base\n flatten()\n"), "adam"),
    "vgg16_frozen_1024": (32, VGG % ("", " freeze base\n flatten()\n dense(1024, relu)\n dropout(0.5)\n"), "adam"),
    "vgg16_tune_last": (32, VGG % (", pooling = avg", " freeze base[:-4]\n"), "sgd"),
    "vgg16_full": (32, VGG % ("", " flatten()\n"), "adam"),
    "resnet50": (16, zoo("resnet50"), "adam"),
    "mobilenet": (16, zoo("mobilenet"), "adam"),
}
PREDICTIONS = {  # name: (text, shape)
    "vgg16_100": (VGG % ("", " flatten()\n"), (3, 100, 100)),
    "vgg16_224": (zoo("vgg16"), (3, 224, 224)),
    "resnet50": (zoo("resnet50"), (3, 224, 224)),
    "inception_v3": (zoo("inception_v3", 299), (3, 299, 299)),
    "mobilenet": (zoo("mobilenet"), (3, 224, 224)),
    "mobilenet_v2": (zoo("mobilenet_v2"), (3, 224, 224)),
    "naive_cnn": (NAIVE, (1, 100, 100)),
}
# glibc told to keep memory: PyTorch's better setting.
KEEPS = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296"}


class Worker:
    def __init__(self, name, command, threads=THREADS, environment=()):
        self.name, self.times, self.rounds, self.peak = name, [], [], 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "OMP_NUM_THREADS": str(threads), **dict(environment)})
        if not self.answer().get("ready"):
            sys.exit("networks.py: %s did not start: %s" % (name, " ".join(command)))

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("networks.py: %s ended: %s" % (self.name, " ".join(self.process.args)))
        return json.loads(line)

    def run(self, count):
        try:
            self.process.stdin.write(f"run {count}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is named below
        times = self.answer()["ms"]
        with open(f"/proc/{self.process.pid}/status") as status:
            self.peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        return times

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def median(self):
        return statistics.median(self.times)

    def ratio(self, other):
        """How many times as long as `other`, which ran in the same rounds."""
        return statistics.median(own / its for own, its in zip(self.rounds, other.rounds))


def busy_seconds():
    """Of all processors so far."""
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:]]
    return (sum(ticks[:3]) + sum(ticks[5:8])) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet():
    """Until others leave the processors alone for a tenth of a second, at most QUIET seconds."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        before, start = busy_seconds(), time.monotonic()
        time.sleep(0.1)
        if busy_seconds() - before < 0.1 * (time.monotonic() - start) * os.cpu_count():
            return


def take_turns(workers):
    """Ends the workers."""
    counts = [max(1, int(SECONDS * 1e3 / min(worker.run(2)))) for worker in workers]
    for _ in range(ROUNDS):
        for i in random.sample(range(len(workers)), len(workers)):
            wait_for_quiet()
            times = workers[i].run(counts[i])
            workers[i].times += times
            workers[i].rounds.append(statistics.median(times))
    for worker in workers:
        worker.stop()


def answers(*command):
    try:
        return subprocess.run(command, cwd=HERE, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run_quietly(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"networks.py: cannot run {command[0]}: {error.strerror}")
    if done.returncode:
        sys.exit(f"networks.py: {' '.join(command)} failed:\n{done.stderr or done.stdout}")


class Bench:
    def __init__(self, netc, folder):
        self.netc, self.folder = os.path.abspath(netc), folder
        self.torch = next((python for python in ("python3", "/usr/bin/python3")
                           if PEERS and answers(python, "-c", "import torch")), None)
        self.ort = self.torch and "ort" in PEERS and answers("node", "-e", "require.resolve('onnxruntime-node')")
        os.makedirs(folder, exist_ok=True)

    def build(self, what, name, text):
        source, program = (os.path.join(self.folder, f"{name}_{what}{suffix}") for suffix in (".net", ""))
        with open(source, "w") as out:
            out.write(text)
        run_quietly(self.netc, "build", source, "-o", program)
        return program

    def netc_worker(self, program, batch, threads=THREADS, *options):
        return Worker("netc", [program, "bench", "--worker", "--batch", str(batch), "--threads", str(threads),
                               *options], threads)

    def torch_workers(self, what, name, batch):
        if not self.torch or "torch" not in PEERS:
            return []
        return [Worker("PyTorch", [self.torch, os.path.join(HERE, "torch_worker.py"), what, name, str(batch),
                                   str(THREADS)], environment=KEEPS)]

    def ort_workers(self, name, batch, shape):
        if not self.ort:
            return []
        model = os.path.join(self.folder, f"{name}_{batch}.onnx")
        if not os.path.exists(model):
            run_quietly(self.torch, os.path.join(HERE, "torch_worker.py"), "onnx", name, str(batch), model + ".tmp")
            os.rename(model + ".tmp", model)
        return [Worker("ONNX Runtime", ["node", os.path.join(HERE, "ort_worker.js"), model, str(THREADS), str(batch),
                                        *map(str, shape)])]

    def step(self, name):
        batch, text, optimizer = STEPS[name]
        program = self.build("step", name, text % name + TRAIN % (name, optimizer, batch))
        workers = [self.netc_worker(program, batch, THREADS, "--train"), *self.torch_workers("step", name, batch)]
        take_turns(workers)
        own, peers = workers[0], workers[1:]
        row(name, batch, time_of([own]), time_of(peers), ratio_of(own, peers), f"{own.peak:.0f} MB",
            f"{peers[0].peak:.0f} MB" if peers else "-", f"{own.peak / peers[0].peak:.2f}" if peers else "-")

    def predict(self, name):
        text, shape = PREDICTIONS[name]
        program = self.build("predict", name, text % name)
        for batch in BATCHES:
            own = self.netc_worker(program, batch)
            ort, torch = self.ort_workers(name, batch, shape), self.torch_workers("predict", name, batch)
            single = [self.netc_worker(program, batch, 1)] if THREADS > 1 else []
            take_turns([own, *ort, *torch, *single])
            row(name, batch, time_of([own]), time_of(ort), time_of(torch), ratio_of(own, ort + torch),
                f"{single[0].ratio(own):.2f}" if single else "-")


def time_of(workers):
    return f"{workers[0].median():.1f} ms" if workers else "-"


def ratio_of(own, peers):
    """To the faster peer."""
    return f"{min(peers, key=Worker.median).ratio(own):.2f}" if peers else "-"


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*titles):
    print()
    row(*titles)
    print("|---" * len(titles) + "|", flush=True)


def processor():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown processor")


def chosen(jobs):
    """The names of the steps and of the predictions that `jobs` ask for."""
    known, wanted = {"step": STEPS, "predict": PREDICTIONS}, {"step": set(), "predict": set()}
    for job in jobs or known:
        kind, _, name = job.rpartition(":")
        found = {other: set(names if name == other and not kind else names.keys() & {name})
                 for other, names in known.items() if kind in ("", other)}
        if not any(found.values()):
            sys.exit(f"networks.py: no job `{job}`; steps: {' '.join(STEPS)}; predictions: {' '.join(PREDICTIONS)}")
        for other, names in found.items():
            wanted[other] |= names
    return [[name for name in names if name in wanted[kind]] for kind, names in known.items()]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bench, jobs = Bench(sys.argv[1], sys.argv[2]), sys.argv[3:]
    steps, predictions = chosen(jobs)
    print(f"{processor()}, {THREADS} threads; load {os.getloadavg()[0]:.1f}; {ROUNDS} rounds")
    if steps:
        head("step", "batch", "netc", "PyTorch", "PyTorch / netc", "netc's memory", "PyTorch's", "part")
    for name in steps:
        bench.step(name)
    if predictions:
        head("prediction", "batch", "netc", "ONNX Runtime", "torch jit", "the faster / netc", f"1 to {THREADS} threads")
    for name in predictions:
        bench.predict(name)


main()
