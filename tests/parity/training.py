"""Optimizers, losses, schedules and metrics against golden/{optimizers,losses,schedules,metrics}.h5.

usage: training.py NETC GOLDEN_DIR [CASE]

Optimizers, losses and schedules run through the C interface of what netc emits (keras_net.Library): one small library
a case.  Outputs to be judged are rows of a dense layer's kernel that a one-hot input picks, so that a step of plain SGD
at rate 1 shows a loss's gradient as the change of that kernel.  Metrics run through `EXE eval`."""
import concurrent.futures
import json
import os
import sys
import tempfile
import threading

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1:3]
only = sys.argv[3] if len(sys.argv) > 3 else ""
failed = passed = 0
counting = threading.Lock()

CLASSES = {"SGD": "sgd", "RMSprop": "rmsprop", "Adam": "adam", "AdamW": "adamw", "Adagrad": "adagrad",
           "Adadelta": "adadelta", "Adamax": "adamax", "Nadam": "nadam", "Lion": "lion", "Ftrl": "ftrl",
           "ExponentialDecay": "exponential_decay", "InverseTimeDecay": "inverse_time_decay",
           "PolynomialDecay": "polynomial_decay", "PiecewiseConstantDecay": "piecewise_constant_decay",
           "CosineDecay": "cosine_decay", "CosineDecayRestarts": "cosine_decay_restarts"}
# Settings of Keras's that say nothing here: names, loss scaling for half precision, what is off by default.
IGNORED = {"name", "loss_scale_factor", "ema_overwrite_frequency"}


def snake(name):
    out = ""
    for i, c in enumerate(name):
        if c.isupper() and i and (not name[i - 1].isupper() or i + 1 < len(name) and name[i + 1].islower()):
            out += "_"
        out += c.lower()
    return out.replace("kldivergence", "kl_divergence")


def call(class_name, config):
    """A Keras configuration as a call of the language; learning rates as the decimal that was meant."""
    parts = []
    for key, value in sorted(config.items()):
        if key in IGNORED or value is None:
            continue
        if isinstance(value, dict):
            text = call(value["class_name"], value["config"])
        elif key == "learning_rate":
            text = repr(float("%.7g" % value))
        elif isinstance(value, list):
            text = "[" + ", ".join(map(repr, value)) + "]"
        else:
            text = kn.value_text(value)
        parts.append(f"{key} = {text}")
    return f"{CLASSES.get(class_name) or snake(class_name)}({', '.join(parts)})"


def check(name, got, want, tolerance):
    global failed, passed
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    worst = float(np.abs(got - want).max()) if want.size else 0
    with counting:
        if got.shape == want.shape and worst <= tolerance:
            passed += 1
            return
        failed += 1
    print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")


def fair(dataset):
    """golden/README.md: a few times the distance of Keras's float32 from its float64, and 1e-6 of the largest."""
    return 3 * dataset.attrs["f64_max_abs_err"] + 1.5e-6 * max(dataset.attrs["max_abs"], 1e-2)


def attempt(name, run):
    global failed
    try:
        run()
    except Exception as reason:  # a build that fails is a failed case, not the end
        with counting:
            failed += 1
        print(f"FAILED {name}: {reason}")


def phases(optimizers, folder):
    """One library with a phase per optimizer: they share the network and the compilation."""
    text = "network net {\n  input(5)\n  dense(3, name = \"d\")\n}\ntrain net {\n  loss mse\n  batch 8\n"
    for i, one in enumerate(optimizers):
        text += f"  phase \"p{i}\" {{\n    epochs 1\n    optimizer {one}\n  }}\n"
    return kn.Library(netc, text + "}\n", folder, "net", batch=8)


def optimizer_group(cases, f, folder):
    x, y = f["x"][()], f["y"][()]
    net = phases([call(f[c].attrs["class_name"], json.loads(f[c].attrs["config"])) for c in cases], folder)
    for phase, case in enumerate(cases):
        g, name = f[case], f"optimizers/{case}"
        net.set("d/kernel", g["kernel"][0])
        net.set("d/bias", g["bias"][0])
        net.begin(phase)
        for step in range(len(g["loss"])):
            check(f"{name} rate {step}", net.rate(), g["learning_rate"][step], 1e-7 * max(1, g["learning_rate"][step]))
            loss = net.step(x, y)
            check(f"{name} loss {step}", loss, g["loss"][step], fair(g["loss"]))
            check(f"{name} kernel {step}", net.get("d/kernel"), g["kernel"][step + 1], fair(g["kernel"]))
            check(f"{name} bias {step}", net.get("d/bias"), g["bias"][step + 1], fair(g["bias"]))
    net.close()


def schedule_group(cases, f, folder):
    net = phases([f"sgd(learning_rate = {call(f[c].attrs['class_name'], json.loads(f[c].attrs['config']))})"
                  for c in cases], folder)
    for phase, case in enumerate(cases):
        net.begin(phase)
        rates = []
        for _ in range(len(f[case])):
            rates.append(net.rate())
            net.step(np.zeros((1, 5)), np.zeros((1, 3)))
        check(f"schedules/{case}", rates, f[case][()], 2e-6 * np.abs(f[case][()]).max())
    net.close()


def loss(case, g, attrs, folder):
    y_true, y_pred, weight = g["y_true"], g["y_pred"], g.get("sample_weight")
    n, shape = len(y_pred), y_pred.shape[1:]
    width = int(np.prod(shape))
    reshape = f"  reshape(({', '.join(map(str, shape))}))\n" if len(shape) > 1 else ""
    text = (f"network net {{\n  input({n})\n  dense({width}, use_bias = false, name = \"d\")\n{reshape}}}\n"
            f"train net {{\n  loss {call(attrs['class_name'], json.loads(attrs['config']))}\n"
            f"  optimizer sgd(learning_rate = 1.0)\n  batch {n}\n}}\n")
    net = kn.Library(netc, text, folder, "net", batch=n)
    net.set("d/kernel", y_pred)
    net.begin()
    got = net.step(np.eye(n), y_true.reshape(n, -1), weight)
    want, grad = float(g["loss"]), g["grad"].reshape(n, width)
    check(f"{case} loss", got, want, 1e-5 * max(1e-2, abs(want)))
    change = y_pred.reshape(n, width).astype(np.float64) - net.get("d/kernel")
    # the change of a kernel as large as y_pred and of the new kernel is seen through float32 rounding
    seen = 1.2e-7 * max(np.abs(y_pred).max(), np.abs(net.get("d/kernel")).max())
    check(f"{case} gradient", change, grad, 1e-4 * np.abs(grad).max() * .1 + seen)
    net.close()


METRICS = {"F1Score": "f1_score", "AUC": "auc", "R2Score": "r2_score"}
METRIC_SETTINGS = {"threshold", "k", "average", "curve"}


def metric_group(key, cases, f, folder):
    """Cases of one shape: one program that has all their metrics.  `eval` on the first batch, and on both, shows what
    Keras has after one update and after two."""
    (n, width), sparse = key[0], key[1]
    calls = []
    for case in cases:
        config = {k: v for k, v in json.loads(f[case].attrs["config"]).items() if k in METRIC_SETTINGS and v is not None}
        name = f[case].attrs["class_name"]
        if name == "TopKCategoricalAccuracy":
            name = "top_k_categorical_accuracy"
        calls.append(call(METRICS.get(name, name), config))
    text = (f"network net {{\n  input({2 * n})\n  dense({width}, use_bias = false, name = \"d\")\n}}\n"
            f"train net {{\n  loss {'sparse_categorical_crossentropy' if sparse else 'mse'}\n  optimizer sgd\n"
            f"  metrics {', '.join(calls)}\n  batch {n}\n}}\n")
    exe = kn.build(netc, text, folder, "net", "--cflags", "-O0")
    for case in cases:
        g = f[case]
        y_pred, y_true = (np.concatenate([g[f"{y}0"][()], g[f"{y}1"][()]]) for y in ("y_pred", "y_true"))
        kn.write_weights(f"{folder}/w.h5", {"d": {"kernel": y_pred}})
        for batch in range(2):
            count = n * (batch + 1)
            kn.write_data(f"{folder}/data.h5", np.eye(2 * n)[:count], y_true[:count].astype(np.int64 if sparse else np.float32))
            shown = json.loads(kn.run([exe, "eval", f"{folder}/data.h5", "--weights", f"{folder}/w.h5", "--json"]),
                               object_pairs_hook=list)  # metrics of one name are told apart by their order
            values = [v for k, v in shown if k not in ("images", "loss", "classes", "confusion")]
            want = float(np.mean(g["result"][batch]))  # one value a class: the program shows their mean
            check(f"metrics/{case} {batch}", values[cases.index(case)], want, 2e-6 * max(1, abs(want)))


def averages(f, folder):
    """use_ema and gradient_accumulation_steps, of which the golden data have no case: against their definition in
    keras.optimizers, in float64."""
    x, y = (f[k][()].astype(np.float64) for k in "xy")
    net = phases(["sgd(learning_rate = 0.2, momentum = 0.9, use_ema = true, ema_momentum = 0.8)",
                  "sgd(learning_rate = 0.3, gradient_accumulation_steps = 3, clipnorm = 0.4)",
                  "sgd(learning_rate = exponential_decay(0.2, 2, 0.5), gradient_accumulation_steps = 2, use_ema = true)"],
                 folder)
    for phase, (momentum, steps, clip, ema) in enumerate([(.9, 1, None, .8), (0, 3, .4, None), (0, 2, None, .99)]):
        w = {"kernel": f["sgd/kernel"][0].astype(np.float64), "bias": f["sgd/bias"][0].astype(np.float64)}
        speed, total, average = ({k: np.zeros_like(v) for k, v in w.items()} for _ in range(3))
        for k in w:
            net.set(f"d/{k}", w[k])
        net.begin(phase)
        for step in range(7):
            rate = [.2, .3, .2 * .5 ** ((step // steps) / 2)][phase]
            check(f"averages {phase} rate {step}", net.rate(), rate, 1e-9)
            dy = 2 * (x @ w["kernel"] + w["bias"] - y) / y.size
            net.step(x, y)
            for k, grad in (("kernel", x.T @ dy), ("bias", dy.sum(0))):
                total[k] += grad
                if step % steps == steps - 1:
                    mean, total[k] = total[k] / steps, np.zeros_like(grad)
                    if clip:
                        mean = mean * min(1, clip / np.linalg.norm(mean))
                    speed[k] = momentum * speed[k] - rate * mean
                    w[k] = w[k] + speed[k]
                share = (ema or 0) if step // steps else 0
                average[k] = share * average[k] + (1 - share) * w[k]
                check(f"averages {phase} {k} {step}", net.get(f"d/{k}"), w[k], 2e-6)
        net.ask("end_phase", net.model)
        for k in w:
            check(f"averages {phase} {k} at the end", net.get(f"d/{k}"), average[k] if ema else w[k], 2e-6)
    net.close()


def groups(cases, most):
    return [cases[i:i + most] for i in range(0, len(cases), most)]


with tempfile.TemporaryDirectory() as folder:
    for kind, run, most in (("optimizers", optimizer_group, 15), ("schedules", schedule_group, 15)):
        with h5py.File(os.path.join(golden, kind + ".h5")) as f:
            for group in groups([c for c in f if c not in "xy" and only in f"{kind}/{c}"], most):
                attempt(kind, lambda: run(group, f, folder))
    if only in "averages":
        with h5py.File(os.path.join(golden, "optimizers.h5")) as f:
            attempt("averages", lambda: averages(f, folder))
    with h5py.File(os.path.join(golden, "metrics.h5")) as f:
        shapes = {}
        for case in f:
            if only in f"metrics/{case}":
                shapes.setdefault((f[case]["y_pred0"].shape, f[case]["y_true0"].ndim == 1), []).append(case)
        for key, cases in shapes.items():
            attempt(f"metrics {key}", lambda: metric_group(key, cases, f, folder))
    with h5py.File(os.path.join(golden, "losses.h5")) as f:
        wanted = [case for case in f if only in f"losses/{case}"]
        data = {case: {k: np.asarray(f[case][k][()]) for k in f[case]} for case in wanted}
        settings = {case: dict(f[case].attrs) for case in wanted}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # a compilation each: two at a time
        for case in wanted:
            os.mkdir(f"{folder}/{case}")
            pool.submit(attempt, f"losses/{case}",
                        lambda case=case: loss(f"losses/{case}", data[case], settings[case], f"{folder}/{case}"))
print(f"training: {passed} passed, {failed} failed")
sys.exit(failed > 0)
