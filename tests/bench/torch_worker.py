#!/usr/bin/env python3
"""A benchmark's network in PyTorch, as a worker beside `EXE bench --worker`.

  torch_worker.py step|predict NETWORK BATCH THREADS
  torch_worker.py onnx NETWORK BATCH FILE      writes the network for ONNX Runtime instead

Prints {"ready": true}, then answers each line "run N" with {"ms": [N times]}.  Channels last, PyTorch's faster memory
format for steps; frozen parts run without gradients; predictions are traced, frozen and optimised by torch.jit, its
faster way."""
import json
import sys
import time

import torch
from torch.nn import functional as F

from torch_models import network_of


def step_of(network, batch):
    x = torch.rand(batch, *network.shape).contiguous(memory_format=torch.channels_last)
    target = torch.arange(batch) % network.classes
    network.rest.train()
    optimizer = network.optimizer(network.rest.parameters(), lr=1e-4)

    def step():
        with torch.no_grad():
            features = network.frozen(x)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network.rest(features), target).backward()
        optimizer.step()
    return step


def predicting(network):
    return torch.nn.Sequential(network.frozen, network.rest).to(memory_format=torch.contiguous_format).eval()


def prediction_of(network, batch):
    x = torch.rand(batch, *network.shape)
    with torch.no_grad():
        traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(predicting(network), x)))

    def predict():
        with torch.no_grad():
            traced(x)
    return predict


def answer(once):
    once()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            once()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times}), flush=True)


def main():
    what, name, batch, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    network = network_of(name)
    if what == "onnx":
        torch.onnx.export(predicting(network), torch.rand(batch, *network.shape), last, opset_version=13,
                          input_names=["x"], output_names=["y"])
        return
    torch.set_num_threads(int(last))
    answer(step_of(network, batch) if what == "step" else prediction_of(network, batch))


main()
