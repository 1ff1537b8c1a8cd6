"""Every metric with other settings than the golden file's, against Keras's definitions written down in NumPy; and averaged
weights that take the weights' place while training.

usage: metrics.py NETC GOLDEN"""
import json
import sys
import tempfile

import numpy as np

import keras_net as kn

netc = sys.argv[1]
folder = tempfile.TemporaryDirectory()
random = np.random.RandomState(4)
failed = passed = 0
EPSILON = 1e-7


def same(name, got, want, tolerance):
    global failed, passed
    if abs(got - want) <= tolerance:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {got}, wanted {want}")


def ratio(part, whole):
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0)


# ---- decisions ----

def matrix(y, p, threshold=0.5, top_k=None, class_id=None):
    p = p.copy()
    if top_k:
        for row in p:
            row[np.argsort(-row, kind="stable")[top_k:]] = -1e10
        threshold = -1e10 if threshold is None else threshold
    if class_id is not None:
        y, p = y[:, [class_id]], p[:, [class_id]]
    said = p > (0.5 if threshold is None else threshold)
    return [int((a & b).sum()) for a, b in ((said, y > 0), (said, y == 0), (~said, y == 0), (~said, y > 0))]


def precision(**k):
    return lambda y, p: float(ratio(*(lambda m: (m[0], m[0] + m[1]))(matrix(y, p, **k))))


def recall(**k):
    return lambda y, p: float(ratio(*(lambda m: (m[0], m[0] + m[3]))(matrix(y, p, **k))))


def count(i, **k):
    return lambda y, p: matrix(y, p, **k)[i]


def f_score(average, beta, threshold):
    def value(y, p):
        said = p > threshold if threshold is not None else (p >= p.max(1, keepdims=True)) & (np.abs(p) > 1e-9)
        axis = None if average == "micro" else 0
        hit, wrong, missed = (said * y).sum(axis), (said * (1 - y)).sum(axis), (~said * y).sum(axis)
        a, b = hit / (hit + wrong + EPSILON), hit / (hit + missed + EPSILON)
        f = (1 + beta**2) * a * b / (beta**2 * a + b + EPSILON)
        if average == "weighted":
            return (f * y.sum(0)).sum() / (y.sum() + EPSILON)
        return f.mean()
    return value


# ---- curves: true and false positives at each threshold, counted one by one ----

def curve(y, p, thresholds):
    """The first threshold lies below 0, as AUC's does; predictions on a threshold are below it."""
    steps = np.arange(1, thresholds - 1) / (thresholds - 1)
    steps = np.concatenate([[-EPSILON], steps, [1 + EPSILON]])
    tp = np.array([((p > t) & (y > 0)).sum() for t in steps], float)
    fp = np.array([((p > t) & (y == 0)).sum() for t in steps], float)
    return tp, fp, float((y > 0).sum()), float((y == 0).sum())


def auc(thresholds=200, kind="ROC", method="interpolation", logits=False, labels=False):
    def one(y, p):
        tp, fp, truths, others = curve(y, p, thresholds)
        if kind == "PR" and method == "interpolation":
            said, more = tp + fp, tp[:-1] - tp[1:]
            slope = ratio(more, np.maximum(said[:-1] - said[1:], 0))
            start = tp[1:] - slope * said[1:]
            both = (said[:-1] > 0) & (said[1:] > 0)
            quotient = np.where(both, said[:-1] / np.where(both, said[1:], 1), 1)
            return (slope * (more + start * np.log(quotient)) / truths).sum()
        if kind == "ROC":
            x, h = fp / others, tp / truths
        elif kind == "PR":
            x, h = tp / truths, ratio(tp, tp + fp)
        else:
            odds = truths / others
            x = np.maximum(np.where(tp > 0, 1 - odds * ratio(truths - tp, tp), 0), 0)
            h = np.where(tp > 0, 1 - odds * ratio(fp, tp), 1)
        pair = np.stack([h[:-1], h[1:]])
        height = {"interpolation": pair.mean(0), "minoring": pair.min(0), "majoring": pair.max(0)}[method]
        return ((x[:-1] - x[1:]) * height).sum()

    def value(y, p):
        p = 1 / (1 + np.exp(-p)) if logits else np.clip(p, 0, 1)
        if labels:
            return np.mean([one(y[:, c], p[:, c]) for c in range(y.shape[1])])
        return one(y.ravel(), p.ravel())
    return value


def best_at(of, where, least, thresholds=200):
    def value(y, p):
        tp, fp, truths, others = curve(y.ravel(), np.clip(p.ravel(), 0, 1), thresholds)
        rates = {"recall": tp / truths, "precision": ratio(tp, tp + fp), "specificity": (others - fp) / others}
        good = rates[where] >= least
        return rates[of][good].max() if good.any() else 0
    return value


# ---- means ----

def log_softmax(p):
    return p - p.max(1, keepdims=True) - np.log(np.exp(p - p.max(1, keepdims=True)).sum(1, keepdims=True))


def categorical(logits=False, smoothing=0.0):
    def value(y, p):
        y = y * (1 - smoothing) + smoothing / y.shape[1]
        log_p = log_softmax(p) if logits else np.log(np.clip(p / p.sum(1, keepdims=True), EPSILON, 1 - EPSILON))
        return -(y * log_p).sum(1).mean()
    return value


def binary(logits=False, smoothing=0.0):
    def value(y, p):
        y = y * (1 - smoothing) + smoothing / 2
        q = 1 / (1 + np.exp(-p)) if logits else np.clip(p, EPSILON, 1 - EPSILON)
        return -(y * np.log(q) + (1 - y) * np.log1p(-q)).mean()
    return value


def r2(aggregation="uniform", regressors=0):
    def value(y, p):
        total = ((y - y.mean(0)) ** 2).sum(0)
        score = 1 - ((y - p) ** 2).sum(0) / total
        score = np.average(score, weights=total if aggregation == "variance" else None)
        return 1 - (1 - score) * (len(y) - 1) / (len(y) - regressors - 1) if regressors else score
    return value


def sided(y):
    return np.where(y == 0, -1, y)


BOTH = [
    ("precision(0.3)", precision(threshold=0.3)), ("precision(thresholds = 0.71)", precision(threshold=0.71)),
    ("recall(0.25)", recall(threshold=0.25)), ("true_positives(0.2)", count(0, threshold=0.2)),
    ("false_positives(0.2)", count(1, threshold=0.2)), ("true_negatives(0.8)", count(2, threshold=0.8)),
    ("false_negatives(0.8)", count(3, threshold=0.8)),
    ("f1_score(macro, threshold = 0.4)", f_score("macro", 1, 0.4)), ("f1_score(average = micro, threshold = 0.6)", f_score("micro", 1, 0.6)),
    ("fbeta_score(beta = 2.0, threshold = 0.3)", f_score("macro", 2, 0.3)),
    ("auc(num_thresholds = 7)", auc(7)), ("auc(50, PR)", auc(50, "PR")), ("auc(curve = PRGAIN)", auc(200, "PRGAIN")),
    ("auc(summation_method = minoring)", auc(200, "ROC", "minoring")), ("auc(11, majoring)", auc(11, "ROC", "majoring")),
    ("auc(30, PR, minoring)", auc(30, "PR", "minoring")), ("auc(30, PR, summation_method = majoring)", auc(30, "PR", "majoring")),
    ("auc(from_logits = true, num_thresholds = 20)", auc(20, logits=True)),
    ("precision_at_recall(0.6)", best_at("precision", "recall", 0.6)), ("recall_at_precision(0.4)", best_at("recall", "precision", 0.4)),
    ("sensitivity_at_specificity(0.5, num_thresholds = 40)", best_at("recall", "specificity", 0.5, 40)),
    ("specificity_at_sensitivity(0.7)", best_at("specificity", "recall", 0.7)), ("recall_at_precision(1.0, 3)", best_at("recall", "precision", 1, 3)),
    ("mse", lambda y, p: ((y - p) ** 2).mean()), ("rmse", lambda y, p: np.sqrt(((y - p) ** 2).mean())),
    ("mae", lambda y, p: np.abs(y - p).mean()),
    ("mean_squared_logarithmic_error", lambda y, p: ((np.log1p(np.maximum(y, EPSILON)) - np.log1p(np.maximum(p, EPSILON))) ** 2).mean()),
    ("log_cosh", lambda y, p: np.log(np.cosh(p - y)).mean()), ("poisson", lambda y, p: (p - y * np.log(p + EPSILON)).mean()),
    ("hinge", lambda y, p: np.maximum(1 - sided(y) * p, 0).mean()), ("squared_hinge", lambda y, p: (np.maximum(1 - sided(y) * p, 0) ** 2).mean()),
    ("binary_crossentropy(from_logits = true)", binary(True)), ("binary_crossentropy(label_smoothing = 0.2)", binary(False, 0.2)),
    ("binary_crossentropy(true, 0.1)", binary(True, 0.1)),
    ("r2_score(variance_weighted_average, num_regressors = 2)", r2("variance", 2)), ("r2_score(num_regressors = 1)", r2("uniform", 1)),
    ("mape", lambda y, p: (100 * np.abs(y - p) / np.maximum(np.abs(y), EPSILON)).mean()),
]
SEVERAL = [
    ("precision(top_k = 2)", precision(threshold=None, top_k=2)), ("precision(0.6, top_k = 1)", precision(threshold=0.6, top_k=1)),
    ("precision(class_id = 1)", precision(class_id=1)), ("recall(top_k = 2, class_id = 3)", recall(threshold=None, top_k=2, class_id=3)),
    ("recall(0.3, class_id = 0)", recall(threshold=0.3, class_id=0)),
    ("f1_score(weighted)", f_score("weighted", 1, None)), ("fbeta_score(micro, 0.5)", f_score("micro", 0.5, None)),
    ("auc(25, multi_label = true)", auc(25, labels=True)), ("auc(25, PR, multi_label = true)", auc(25, "PR", labels=True)),
    ("categorical_crossentropy(from_logits = true)", categorical(True)), ("categorical_crossentropy(label_smoothing = 0.3)", categorical(False, 0.3)),
    ("categorical_crossentropy(true, 0.1)", categorical(True, 0.1)),
    ("cosine_similarity", lambda y, p: ((y * p).sum(1) / np.maximum(np.sqrt((y**2).sum(1) * (p**2).sum(1)), 1e-12)).mean()),
    ("kl_divergence", lambda y, p: (np.clip(y, EPSILON, 1) * np.log(np.clip(y, EPSILON, 1) / np.clip(p, EPSILON, 1))).sum(1).mean()),
    ("categorical_hinge", lambda y, p: np.maximum(((1 - y) * p).max(1) - (y * p).sum(1) + 1, 0).mean()),
]
SPARSE = [("sparse_categorical_crossentropy(from_logits = true)", lambda y, p: -(log_softmax(p) * y).sum(1).mean()),
          ("sparse_categorical_crossentropy()", lambda y, p: -np.log(np.clip((p * y).sum(1), EPSILON, 1 - EPSILON)).mean()),
          ("f1_score(macro, threshold = 0.2)", f_score("macro", 1, 0.2)), ("recall(0.3, class_id = 2)", recall(threshold=0.3, class_id=2))]


def group(name, cases, y, p, loss, targets):
    n, width = p.shape
    text = (f"network {name} {{\n  input({n})\n  dense({width}, use_bias = false, name = \"d\")\n}}\ntrain {name} {{\n  loss {loss}\n"
            f"  optimizer sgd\n  metrics {', '.join(c for c, _ in cases)}\n  batch 8\n}}\n")
    exe = kn.build(netc, text, folder.name, name, "--cflags", "-O0")
    kn.write_weights(f"{folder.name}/w.h5", {"d": {"kernel": p}})
    kn.write_data(f"{folder.name}/data.h5", np.eye(n), targets)
    shown = json.loads(kn.run([exe, "eval", f"{folder.name}/data.h5", "--weights", f"{folder.name}/w.h5", "--json"]),
                       object_pairs_hook=list)
    values = [v for k, v in shown if k not in ("images", "loss", "classes", "confusion")]
    p = p.astype(np.float32).astype(np.float64)
    for (call, formula), value in zip(cases, values):
        want = float(formula(y, p))
        same(f"{name}: {call}", value, want, 3e-6 * max(1, abs(want)))


n = 41
one = (random.uniform(size=(n, 1)) < 0.4).astype(np.float64)
group("yes_no", BOTH, one, np.clip(random.normal(0.4 + 0.2 * one, 0.2), 0.01, 0.99), "mse", one)
several = (random.uniform(size=(n, 4)) < 0.4).astype(np.float64)
group("labels", BOTH + SEVERAL, several, np.clip(random.normal(0.4 + 0.2 * several, 0.2), 0.01, 0.99), "mse", several)
classes = random.randint(0, 4, n)
chances = random.uniform(0.05, 1, (n, 4))
group("sparse", SPARSE, np.eye(4)[classes], chances / chances.sum(1, keepdims=True), "sparse_categorical_crossentropy", classes)


# ---- ema_overwrite_frequency: Keras's apply_gradients, by hand ----

def ema(every, accumulate, momentum=0.6, rate=0.1, steps=9):
    name = f"ema{every}_{accumulate}"
    text = (f"network {name} {{\n  input(3)\n  dense(2, use_bias = false, name = \"d\")\n}}\ntrain {name} {{\n  loss mse\n  optimizer sgd({rate}, "
            f"use_ema = true, ema_momentum = {momentum}, ema_overwrite_frequency = {every}, loss_scale_factor = 8"
            + (f", gradient_accumulation_steps = {accumulate}" if accumulate > 1 else "") + ")\n  batch 4\n}\n")
    made = kn.Library(netc, text, folder.name, name, batch=4)
    w = random.normal(size=(3, 2)).astype(np.float32)
    made.set("d/kernel", w)
    made.begin()
    w, average, gathered = w.astype(np.float64), 0, 0
    for step in range(steps):
        x, y = random.normal(size=(4, 3)).astype(np.float32), random.normal(size=(4, 2)).astype(np.float32)
        made.step(x, y)
        gathered = gathered + x.T.astype(np.float64) @ (x @ w - y) * 2 / y.size
        if (step + 1) % accumulate == 0:
            w, gathered = w - rate * gathered / accumulate, 0
        updates = step // accumulate  # Keras's `iterations`
        average = w if updates == 0 else momentum * average + (1 - momentum) * w
        if every and (updates + 1) % every == 0:
            w = average
        same(f"{name} step {step}", np.abs(made.get("d/kernel") - w).max(), 0, 2e-6)
    made.close()


ema(2, 1)
ema(3, 2)
ema(1, 1)
print(f"metrics: {passed} passed, {failed} failed")
sys.exit(failed > 0)
