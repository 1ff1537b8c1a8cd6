"""Keras's fit in its corners, golden/fit_extras.h5: regularisers in the reported loss, class and sample weights, early
stopping with the best weights back, reduce-on-plateau, schedules, clipping, BatchNorm, validation split, ragged batches.

usage: fit_extras.py NETC GOLDEN_DIR [CASE]

Histories are read from --log; final weights, evaluate and predictions are compared too."""
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1], os.path.join(sys.argv[2], "fit_extras.h5")
only = sys.argv[3] if len(sys.argv) > 3 else ""


def rule(name, shape, center, scale):
    """The starting weights: bits of splitmix64 seeded by FNV-1a of the name (golden data's README says how)."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    out = np.empty(int(np.prod(shape)), np.float32)
    for i in range(out.size):
        z = (seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        out[i] = center + scale * ((2 * (z >> 40) + 1) * 2.0**-24 - 1)
    return out.reshape(shape)


def start_weights(final):
    layers = {}
    for key, data in final.items():
        layer, weight = key.split(".")
        fan = float(np.prod(data.shape[:-1]))
        center, scale = {"kernel": (0, np.sqrt(6 / fan)), "bias": (0, .05), "gamma": (1, .2), "beta": (0, .1),
                         "moving_mean": (0, .1), "moving_variance": (1, .3)}[weight]
        layers.setdefault(layer, {})[weight] = rule(f"{layer}/{weight}", data.shape, center, scale)
    order = ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    return {name: {w: layers[name][w] for w in order if w in layers[name]}
            for name in ["conv", "bn", "hidden", "out"] if name in layers}


def optimizer_text(config):
    config = json.loads(config)
    rate = config["learning_rate"]
    if isinstance(rate, dict):
        c = rate["config"]
        rate = (f"exponential_decay({c['initial_learning_rate']}, decay_steps = {c['decay_steps']}, "
                f"decay_rate = {c['decay_rate']})")
    text = f"{config['name']}({rate}"
    for key in ("momentum", "clipnorm"):
        if config.get(key):
            text += f", {key} = {config[key]}"
    return text + ")"


# What the attributes of the golden file do not say: the callbacks, and rates that callbacks have changed.
EXTRA = {"early_stopping": 'early_stopping(monitor = "val_loss", patience = 2, restore_best_weights = true)',
         "reduce_lr": 'reduce_on_plateau(monitor = "val_loss", factor = 0.5, patience = 1, min_lr = 0.01)'}
START_RATE = {"reduce_lr": "sgd(0.2)"}


def network(name, group):
    model, fit = json.loads(group.attrs["model"]), json.loads(group.attrs["fit"])
    loss, bn = group.attrs["loss"], model.get("bn", False)
    reg = ""
    if "reg" in model:
        kind, *v = model["reg"]
        reg = ", kernel_regularizer = " + (f"l2({v[0]})" if kind == "l2" else f"l1_l2({v[0]}, {v[1]})")
    act = model.get("act", "softmax")
    body = [f'conv2d(4, 3, same, use_bias = {"false" if bn else "true"}{"" if bn else ", activation = relu"}{reg}, name = "conv")']
    if bn:
        body += ['batchnorm(name = "bn")', 'relu(name = "relu")']
    body += ['maxpool(2, name = "pool")', 'flatten(name = "flatten")', f'dense(6, tanh{reg}, name = "hidden")',
             f'dense({model.get("units", 3)}{", " + act if act else ""}, name = "out")']
    train = [f"loss {'mean_squared_error' if loss == 'mse' else loss.replace('True', 'true')}",
             f"optimizer {START_RATE.get(name) or optimizer_text(group.attrs['optimizer'])}",
             f"metrics {'mean_absolute_error' if loss == 'mse' else 'accuracy'}",
             f"batch {fit['batch_size']}", f"epochs {fit['epochs']}", "shuffle false"]
    if "validation_split" in fit:
        train.append(f"validation split {fit['validation_split']}")
    if "class_weight" in fit:
        train.append("class_weight {" + ", ".join(f"{k}: {v}" for k, v in fit["class_weight"].items()) + "}")
    if name in EXTRA:
        train.append(EXTRA[name])
    lines = ["network fit {", "  input(8x8x3)"] + ["  " + b for b in body] + ["}", "train fit {"]
    return "\n".join(lines + ["  " + t for t in train] + ["}"]) + "\n"


def build(name, text, folder):
    """The executable; compiled without optimization, since nothing here takes long to run."""
    source = os.path.join(folder, name + ".net")
    with open(source, "w") as f:
        f.write(text)
    kn.run([netc, "emit", source, "-o", os.path.join(folder, name + "_c")])
    flags = subprocess.run("pkg-config --cflags --libs hdf5 2>/dev/null || echo -lhdf5", shell=True, text=True,
                           capture_output=True).stdout.split()
    exe = os.path.join(folder, name)
    kn.run([os.environ.get("CC", "cc"), "-std=c11", "-O0", "-march=native", "-fopenmp",
            os.path.join(folder, name + "_c", "fit.c"), "-o", exe, *flags, "-ljpeg", "-lpng", "-lz", "-lpthread", "-lm"])
    return exe


def targets(name, group, data):
    loss = group.attrs["loss"]
    if loss.startswith("sparse"):
        return data["ids"][()]
    return data["bits"][()] if loss in ("binary_crossentropy", "mse") else data["one_hot"][()]


def close(ours, right, error, largest):
    """The tolerance that the golden data ask for: a few times their distance from float64, and rounding."""
    return np.max(np.abs(np.asarray(ours, float) - right), initial=0) <= 10 * error + 1e-5 * max(largest, 1e-3)


def check(name, group, data, folder):
    exe = build(name, network(name, group), folder)
    x, w, saved, log = (os.path.join(folder, f"{name}.{e}") for e in ("x.h5", "w.h5", "out.h5", "csv"))
    kn.write_data(x, data["x"][()], targets(name, group, data))
    if name == "sample_weight":
        with h5py.File(x, "a") as f:
            f["sample_weight"] = data["sample_weight"][()]
    kn.write_weights(w, start_weights(group["final"]))
    kn.run([exe, "train", x, "--weights", w, "--no-shuffle", "--save", saved, "--log", log, "--cache", "off"])
    rows, wrong = kn.log_rows(log, "epoch"), []
    for key, right in group["history"].items():
        column = {"mae": "mean_absolute_error"}.get(key, key)
        ours = [float(r[column]) for r in rows]
        error = right.attrs["f64_max_abs_err"]
        if len(ours) != len(right) or not close(ours, right[()], error, np.max(np.abs(right[()]))):
            wrong.append(f"history {key}: {ours} instead of {right[()].tolist()}")
    final = kn.read_weights(saved)
    for key, right in group["final"].items():
        layer, weight = key.split(".")
        if not close(final[layer][weight], right[()], right.attrs["f64_max_abs_err"], right.attrs["max_abs"]):
            wrong.append(f"final {key}: off by {np.max(np.abs(final[layer][weight] - right[()]))}")
    y = kn.predict(exe, x, saved, folder)
    if not close(y, group["y_pred"][()], group["y_pred"].attrs["f64_max_abs_err"], 1):
        wrong.append(f"predictions: off by {np.max(np.abs(y - group['y_pred'][()]))}")
    if name != "sample_weight":  # Keras's evaluate was not given them
        found = json.loads(kn.run([exe, "eval", x, "--weights", saved, "--json"]))
        for key, value in group.attrs.items():
            if key.startswith("evaluate_"):
                column = {"mae": "mean_absolute_error"}.get(key[9:], key[9:])
                if abs(found[column] - value) > 1e-5 * max(1, abs(value)):
                    wrong.append(f"{key}: {found[column]} instead of {value}")
    return wrong


passed = failed = 0
with h5py.File(golden) as f, tempfile.TemporaryDirectory() as folder:
    for name in f:
        if name == "data" or only not in name:
            continue
        try:
            wrong = check(name, f[name], f["data"], folder)
        except RuntimeError as error:
            wrong = [str(error)]
        print(f"{name}: {'wrong' if wrong else 'ok'}", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
        for text in wrong:
            print(f"{name}: {text}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
