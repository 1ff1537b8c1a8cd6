"""The plain two-convolution classifier, Adam, as Keras trains it: predictions, the loss of ten steps, the final weights,
a fit with a ragged last batch and a validation split; and the same bits for 1, 2 and 3 threads.

usage: seed_cnn.py NETC GOLDEN"""
import sys
import tempfile

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1:3]
NET = """
network seed_cnn {
  input(16x16x1)
  conv2d(32, 3x3, same, relu)
  conv2d(64, 3x3, same, relu)
  maxpool(2x2)
  flatten()
  dense(120, relu)
  dropout(%s)
  dense(60, relu)
  dropout(%s)
  dense(3, softmax)
}
train seed_cnn {
  loss categorical_crossentropy
  optimizer adam
  metrics accuracy
  batch 8
  epochs 1
}
"""
passed = failed = 0


def check(name, got, want, tolerance):
    global passed, failed
    worst = float(np.abs(np.asarray(got, np.float64) - np.asarray(want, np.float64)).max())
    good = worst <= tolerance
    passed, failed = passed + good, failed + (not good)
    if not good:
        print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")


def column(rows, name):
    return [float(r[name]) for r in rows]


with tempfile.TemporaryDirectory() as folder, h5py.File(f"{golden}/seed_cnn.h5") as g:
    init, data = f"{golden}/seed_cnn.init.h5", f"{golden}/seed_cnn.h5"
    exe = kn.build(netc, NET % (.25, .4), folder, "with_dropout", "--cflags", "-O2")
    head = f"{folder}/head.h5"
    kn.write_data(head, g["x"][:8], g["y"][:8])
    check("prediction", kn.predict(exe, head, init, folder), g["infer/y_pred"], 1e-5)
    exe = kn.build(netc, NET % (0, 0), folder, "seed_cnn", "--cflags", "-O2")
    out = {}
    for threads in (1, 2, 3):
        save, log = f"{folder}/final{threads}.h5", f"{folder}/log.csv"
        kn.run([exe, "train", data, "--weights", init, "--no-shuffle", "--save", save, "--log", log,
                "--threads", str(threads)])
        out[threads] = kn.read_weights(save)
    steps, epochs = kn.log_rows(log, "step"), kn.log_rows(log, "epoch")
    # 1e-4: what ten steps of float32 arithmetic in another order may differ by (the file's own distance is 1.4e-5).
    check("step loss", column(steps, "loss"), g["train/step_loss"], 1e-4)
    check("step accuracy", column(steps, "accuracy"), g["train/step_accuracy"], 1e-9)
    check("epoch", [float(epochs[0]["loss"]), float(epochs[0]["accuracy"])], g["train/epoch"], 1e-4)
    final = kn.read_weights(f"{golden}/seed_cnn.final.h5")
    for layer, weights in final.items():
        for name, value in weights.items():
            check(f"{layer}/{name}", out[1][layer][name], value, 1e-4)
            for threads in (2, 3):
                check(f"{layer}/{name} on {threads} threads", out[threads][layer][name], out[1][layer][name], 0)
    check("prediction after", kn.predict(exe, head, f"{folder}/final1.h5", folder), g["train/y_pred_after"], 1e-4)
    train, val, log = f"{folder}/train.h5", f"{folder}/val.h5", f"{folder}/split.csv"
    kn.write_data(train, g["x"][:19], g["y"][:19])
    kn.write_data(val, g["x"][19:24], g["y"][19:24])
    kn.run([exe, "train", train, "--val", val, "--weights", init, "--no-shuffle", "--epochs", "3", "--log", log,
            "--save", f"{folder}/split.h5"])
    rows = kn.log_rows(log, "epoch")
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        check(f"split {name}", column(rows, name), g[f"split/{name}"], 1e-4)
print(f"seed_cnn: {passed} passed, {failed} failed")
sys.exit(failed > 0)
