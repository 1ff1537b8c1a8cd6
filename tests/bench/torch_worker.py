#!/usr/bin/env python3
"""The benchmark's networks in PyTorch, as a worker beside `EXE bench --worker`.

  torch_worker.py JOB BATCH THREADS

Prints {"ready": true, ...}, then answers each line "run N" with {"ms": [N times]}.  Channels last, PyTorch's faster
memory format for convolutions; frozen parts run without gradients; a job ending in _predict is traced and frozen by
torch.jit, its faster way to predict."""
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


def vgg16():
    layers, channels = [], 3
    for width in VGG16:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return layers


class Bottleneck(nn.Module):
    """ResNet50 as in Keras: the stride is in the first 1x1 convolution."""

    def __init__(self, channels, width, stride, project):
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(channels, width, 1, stride), nn.BatchNorm2d(width), nn.ReLU(True),
                                  nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True),
                                  nn.Conv2d(width, 4 * width, 1), nn.BatchNorm2d(4 * width))
        self.shortcut = nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride),
                                      nn.BatchNorm2d(4 * width)) if project else nn.Identity()

    def forward(self, x):
        return F.relu(self.main(x) + self.shortcut(x))


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, 2 if stage and not block else 1, not block))
            channels = 4 * width
    return layers + [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)]


def mobilenet():
    def block(channels, width, stride):
        return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels),
                nn.ReLU6(True), nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6(True)]
    layers = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(True)]
    channels = 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
                          (1024, 1)):
        layers += block(channels, width, stride)
        channels = width
    return layers + [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000)]


def naive_cnn():
    return [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(True), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(True),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(160000, 120), nn.ReLU(True), nn.Dropout(.25),
            nn.Linear(120, 60), nn.ReLU(True), nn.Dropout(.4), nn.Linear(60, 3)]


def job_of(name):
    """(frozen part or None, the rest, input shape, classes, optimizer)"""
    if name == "naive_cnn":
        return None, naive_cnn(), (1, 100, 100), 3, torch.optim.Adam
    if name.startswith("vgg16"):
        base = vgg16()
        cut = {"vgg16_frozen": len(base), "vgg16_tune_last": 26}.get(name, 0)
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3)] if "tune" in name else \
               [nn.Flatten(), nn.Linear(4608, 3)]
        return base[:cut], base[cut:] + head, (3, 100, 100), 3, torch.optim.SGD if "tune" in name else torch.optim.Adam
    layers = resnet50() if name.startswith("resnet50") else mobilenet()
    return None, layers, (3, 224, 224), 1000, torch.optim.Adam


def main():
    name, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    predict = name.endswith("_predict")
    torch.set_num_threads(threads)
    frozen, rest, shape, classes, optimizer = job_of(name.replace("_predict", ""))
    frozen = nn.Sequential(*frozen or []).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    rest = nn.Sequential(*rest).to(memory_format=torch.channels_last).train(not predict)
    x = torch.rand(batch, *shape).contiguous(memory_format=torch.channels_last)
    target = torch.arange(batch) % classes
    if predict:
        with torch.no_grad():
            traced = torch.jit.freeze(torch.jit.trace(nn.Sequential(frozen, rest).eval(), x))
    else:
        step = optimizer(rest.parameters(), lr=1e-4)

    def once():
        if predict:
            with torch.no_grad():
                traced(x)
            return
        with torch.no_grad():
            features = frozen(x)
        step.zero_grad(set_to_none=True)
        F.cross_entropy(rest(features), target).backward()
        step.step()

    once()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        if line.startswith("quit"):
            break
        times = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            once()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times, "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


main()
