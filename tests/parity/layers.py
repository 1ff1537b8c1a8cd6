"""Every case of golden/layers.h5: outputs, all gradients, moving statistics.

usage: layers.py NETC GOLDEN [CASES]

All cases of one batch size become branches of one network, so that a few programs serve them all.  The samples are
rows of a dense layer's kernel that a one-hot input picks, so the gradient of each input is the gradient of a weight;
a step of plain SGD at rate 1 shows every gradient as the change of a weight; the target of the mean squared error is
chosen so that the gradient of the output is the golden file's dy."""
import json
import sys
import tempfile

import h5py
import numpy as np

import keras_net as kn

netc, golden = sys.argv[1], sys.argv[2] + "/layers.h5"
only = sys.argv[3] if len(sys.argv) > 3 else ""


def cases():
    with h5py.File(golden) as f:
        for family in f:
            for name in f[family]:
                g = f[family][name]
                if only not in f"{family}/{name}":
                    continue
                yield f"{family}/{name}", {
                    "class": g.attrs["class_name"], "config": json.loads(g.attrs["config"]),
                    "training": bool(g.attrs["training"]),
                    "trainable": "not_trainable" not in name,
                    "x": [g[f"x{i}"][()] for i in range(9) if f"x{i}" in g],
                    "data": {k: (g[k][()], g[k].attrs.get("f64_max_abs_err", 0), g[k].attrs.get("max_abs", 1))
                             for k in ["y", "dy"] + [f"dx{i}" for i in range(9) if f"dx{i}" in g]},
                    "w": {k: g["w"][k][()] for k in g.get("w", [])},
                    "dw": {k: (d[()], d.attrs["f64_max_abs_err"], d.attrs["max_abs"]) for k, d in g.get("dw", {}).items()},
                    "after": {k: (d[()], d.attrs["f64_max_abs_err"], d.attrs["max_abs"])
                              for k, d in g.get("after", {}).items()}}


def network(group, batch):
    """(.net text, weights, target columns) of the cases."""
    lines, freeze, weights, outs = [f"network layers {{", f"  x = input({batch})"], [], {}, []
    for i, (name, c) in enumerate(group):
        ins = []
        for k, x in enumerate(c["x"]):
            shape = "(" + ", ".join(map(str, x.shape[1:])) + ",)"
            width = int(np.prod(x.shape[1:]))
            rows = np.zeros((batch, width), np.float32)
            rows[:len(x)] = x.reshape(len(x), -1)
            lines.append(f'  i{i}_{k} = x -> dense({width}, use_bias = false, name = "i{i}_{k}") -> reshape({shape}, name = "r{i}_{k}")')
            ins.append(f"i{i}_{k}")
            weights[f"i{i}_{k}"] = {"kernel": rows}
        call = kn.call_text(c["class"], c["config"], f"c{i}")
        if len(ins) > 1:
            call = call.replace("(", "(" + ", ".join(ins) + ", ", 1)
            lines.append(f"  y{i} = {call}")
        else:
            lines.append(f"  y{i} = {ins[0]} -> {call}")
        lines.append(f'  o{i} = y{i} -> flatten(name = "f{i}")')
        outs.append(f"o{i}")
        if c["w"]:
            weights[f"c{i}"] = c["w"]
        if c["class"] == "BatchNormalization" and (not c["training"] or not c["trainable"]):
            freeze.append(f"c{i}")
    # Dropout and the like are golden in inference mode only: those cases check outputs, not gradients.
    lines.append(f"  concat({', '.join(outs)})" if len(outs) > 1 else f"  {outs[0]}")
    for name in freeze:
        lines.append(f'  freeze "{name}"')
    lines += ["}", "train layers {", "  loss mse", "  optimizer sgd(learning_rate = 1.0)", f"  batch {batch}",
              "  epochs 1", "  shuffle false", "}"]
    return "\n".join(lines) + "\n", weights


failed = passed = 0


def check(name, got, want, wide=1.0):
    """Tolerance: golden/README.md's few times f64_max_abs_err plus 1e-6 of the largest; gradients come out of the
    difference of two float32 weights and pass a mean over many outputs: 4e-6 of the weights' own size on top."""
    global failed, passed
    value, err, size = want
    value = np.asarray(value, np.float64)
    tolerance = 8 * err + 4e-6 * max(size, 1e-3) + wide
    worst = float(np.abs(np.asarray(got, np.float64).reshape(value.shape) - value).max()) if value.size else 0
    if not worst <= tolerance:
        failed += 1
        print(f"FAILED {name}: off by {worst:.3g}, allowed {tolerance:.3g}")
    else:
        passed += 1


def run_group(batch, group, folder):
    text, weights = network(group, batch)
    exe = kn.build(netc, text, folder, "layers", "--exact", "--cflags", "-O0")
    start = f"{folder}/start.h5"
    kn.write_weights(start, weights)
    eye = np.eye(batch, dtype=np.float32)
    ys, dys = [], []
    for _, c in group:
        y, dy = (c["data"][k][0].reshape(batch, -1) for k in ("y", "dy"))
        ys.append(y)
        dys.append(dy)
    y, dy = np.concatenate(ys, 1), np.concatenate(dys, 1)
    target = (y.astype(np.float64) - dy.astype(np.float64) * y.size / 2).astype(np.float32)
    data = f"{folder}/data.h5"
    kn.write_data(data, eye, target)
    # Training-mode outputs differ from prediction only where the case trains: those are checked by their gradients.
    pred = kn.predict(exe, data, start, folder, "--by-name")
    at = 0
    for (name, c), part in zip(group, ys):
        if not c["training"] or not c["trainable"]:
            check(f"{name} y", pred[:, at:at + part.shape[1]], c["data"]["y"], 0)
        at += part.shape[1]
    kn.run([exe, "train", data, "--weights", start, "--by-name", "--no-shuffle", "--save", f"{folder}/after.h5"])
    after = kn.read_weights(f"{folder}/after.h5")
    for i, (name, c) in enumerate(group):
        if c["class"] == "Dropout":
            continue
        for k, x in enumerate(c["x"]):
            change = weights[f"i{i}_{k}"]["kernel"].astype(np.float64) - after[f"i{i}_{k}"]["kernel"]
            check(f"{name} dx{k}", change, c["data"][f"dx{k}"], 3e-7 * np.abs(x).max() + 2e-6)
        for k, want in c["dw"].items():
            if f"c{i}" in after and c["trainable"] and not (c["class"] == "BatchNormalization" and not c["training"]):
                check(f"{name} dw/{k}", c["w"][k].astype(np.float64) - after[f"c{i}"][k], want, 3e-6)
        for k, want in c["after"].items():
            check(f"{name} after/{k}", after[f"c{i}"][k], want, 0)


groups = {}
for name, case in cases():
    groups.setdefault(len(case["x"][0]), []).append((name, case))
with tempfile.TemporaryDirectory() as folder:
    for batch, group in sorted(groups.items()):
        run_group(batch, group, folder)
print(f"layers: {passed} passed, {failed} failed")
sys.exit(failed > 0)
