#!/usr/bin/env python3
"""Training steps and predictions of netc's programs beside PyTorch where it is installed: `make bench`.

  networks.py NETC FOLDER [JOB...]

Long-lived workers take turns, in an order that changes from round to round; a row says the median of all rounds and
the median over rounds of the ratio within a round.  Memory is the most that the process held.  The feature cache is
off: every step computes the frozen part."""
import json
import os
import random
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", "5")), float(os.environ.get("SECONDS", "1.5"))
VGG = 'import "zoo/vgg16.net"\nnetwork %s { input(100x100x3)\n base = vgg16(include_top = false%s)\n%s dense(3, softmax) }\n'
ZOO = 'import "zoo/%s.net"\nnetwork %s { input(224x224x3)\n base = %s() }\n'
TRAIN = "train %s { loss categorical_crossentropy; optimizer %s(1e-4); batch %d; silence NT003, NT012 }\n"
JOBS = {  # name: (batch, training, text, optimizer)
    "naive_cnn": (32, True, "network naive_cnn { input(100x100x1)\n conv2d(32, 3x3, same, relu)\n conv2d(64, 3x3, same, relu)\n"
                  " maxpool(2x2)\n flatten()\n dense(120, relu)\n dropout(0.25)\n dense(60, relu)\n dropout(0.4)\n"
                  " dense(3, softmax) }\n", "adam"),
    "vgg16_frozen": (32, True, VGG % ("vgg16_frozen", "", " freeze base\n flatten()\n"), "adam"),
    "vgg16_tune_last": (32, True, VGG % ("vgg16_tune_last", ", pooling = avg", " freeze base[:-4]\n"), "sgd"),
    "vgg16_full": (32, True, VGG % ("vgg16_full", "", " flatten()\n"), "adam"),
    "resnet50_full": (16, True, ZOO % ("resnet50", "resnet50_full", "resnet50"), "adam"),
    "mobilenet_full": (16, True, ZOO % ("mobilenet", "mobilenet_full", "mobilenet"), "adam"),
    "vgg16_predict": (1, False, VGG % ("vgg16_predict", "", " flatten()\n"), None),
    "resnet50_predict": (1, False, ZOO % ("resnet50", "resnet50_predict", "resnet50"), None),
    "mobilenet_predict": (1, False, ZOO % ("mobilenet", "mobilenet_predict", "mobilenet"), None),
}


class Worker:
    def __init__(self, name, command, environment):
        self.name, self.times, self.peak = name, [], 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        if not json.loads(self.process.stdout.readline() or "{}").get("ready"):
            raise RuntimeError(name)

    def run(self, count):
        self.process.stdin.write(f"run {count}\n")
        self.process.stdin.flush()
        times = json.loads(self.process.stdout.readline())["ms"]
        with open(f"/proc/{self.process.pid}/status") as status:
            self.peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        return times

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def processor():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown processor")


def measure(netc, folder, job, threads, torch):
    batch, training, text, optimizer = JOBS[job]
    source, program = os.path.join(folder, job + ".net"), os.path.join(folder, job)
    with open(source, "w") as out:
        out.write(text + (TRAIN % (job, optimizer, batch) if training else ""))
    subprocess.run([netc, "build", source, "-o", program], check=True, stderr=subprocess.DEVNULL)
    environment = {"OMP_NUM_THREADS": str(threads)}
    workers = [Worker("netc", [program, "bench", "--worker", "--batch", str(batch), "--threads", str(threads)] +
                      ["--train"] * training, environment)]
    if torch:  # glibc told to keep memory: PyTorch's better setting
        workers.append(Worker("torch", [torch, os.path.join(HERE, "torch_worker.py"), job, str(batch), str(threads)],
                              {**environment, "MALLOC_TRIM_THRESHOLD_": "4294967296",
                               "MALLOC_MMAP_THRESHOLD_": "4294967296"}))
    counts = [max(1, int(SECONDS * 1e3 / min(worker.run(2)))) for worker in workers]
    ratios = []
    for _ in range(ROUNDS):
        order = list(range(len(workers)))
        random.shuffle(order)
        medians = {}
        for i in order:
            times = workers[i].run(counts[i])
            workers[i].times += times
            medians[workers[i].name] = statistics.median(times)
        ratios.append(medians.get("torch", 0) / medians["netc"])
    for worker in workers:
        worker.stop()
    row = [job, "step" if training else "prediction", str(batch), f"{statistics.median(workers[0].times):.1f} ms"]
    row += [f"{statistics.median(workers[1].times):.1f} ms", f"{statistics.median(ratios):.2f}"] if torch else ["-", "-"]
    row += [f"{workers[0].peak:.0f} MB", f"{workers[1].peak:.0f} MB" if torch else "-"]
    print("| " + " | ".join(row) + " |", flush=True)


def main():
    netc, folder, jobs = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or list(JOBS)
    os.makedirs(folder, exist_ok=True)
    torch = next((python for python in ("python3", "/usr/bin/python3")
                  if not subprocess.run([python, "-c", "import torch"], stderr=subprocess.DEVNULL).returncode), None)
    threads = min(2, len(os.sched_getaffinity(0)))
    print(f"{processor()}, {threads} threads; load {os.getloadavg()[0]:.1f}; {ROUNDS} rounds\n")
    print("| network | what | batch | netc | PyTorch | PyTorch / netc | netc's memory | PyTorch's |")
    print("|---|---|---|---|---|---|---|---|")
    for job in jobs:
        measure(netc, folder, job, threads, torch)


main()
