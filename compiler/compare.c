/* `netc compare`: builds each .net file, trains each on the same data with the same seed, and puts what came
 * out side by side: one table, and with --html one page with the curves. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "commands.h"
#include "summary.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_EPOCHS = 4096, MOST_COLUMNS = 64 };

typedef struct Epoch {
  double loss, accuracy, val_loss, val_accuracy;
} Epoch;

typedef struct Contender {
  const char *path, *name;
  int64_t trained, parameters;
  Epoch *epochs;
  int epoch_count;
  double seconds, peak_bytes;
  double split;
  bool stratified, failed;
  Session session;
} Contender;

/* ---- running one ---- */

static int64_t count_trained(const Module *module) {
  int64_t count = 0;
  for (int w = 0; w < module->weight_count; w++)
    count += module->weights[w].phases ? module->weights[w].count : 0;
  return count;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool run_training(Contender *contender, const CommandLine *line, const char *exe, const char *log,
                         const char *save) {
  char threads[16];
  char *argv[COMMAND_MOST_FILES + 16];
  int argc = 0;
  snprintf(threads, sizeof threads, "%d", line->threads);
  const char *fixed[] = {exe, "train", line->data, "--log", log, "--save", save, "--threads", threads};
  for (int i = 0; i < (line->threads ? 9 : 7); i++)
    argv[argc++] = (char *)fixed[i];
  for (int i = 0; i < line->rest_count; i++)
    argv[argc++] = (char *)line->rest[i];
  argv[argc] = NULL;
  fflush(NULL);
  double start = seconds_now();
  pid_t child = fork();
  if (!child) {
    execv(exe, argv);
    _exit(127);
  }
  int status = 1;
  struct rusage usage = {0};
  while (child > 0 && wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  contender->seconds = seconds_now() - start;
  contender->peak_bytes = 1024.0 * (double)usage.ru_maxrss;
  return child > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* ---- reading its log ---- */

static int split_row(char *line, char **cells) {
  int count = 0;
  line[strcspn(line, "\r\n")] = 0;
  while (count < MOST_COLUMNS) {
    cells[count++] = line;
    line = strchr(line, ',');
    if (!line)
      break;
    *line++ = 0;
  }
  return count;
}

static double cell(char **cells, int count, int column) {
  return column >= 0 && column < count && *cells[column] ? strtod(cells[column], NULL) : -1;
}

/* Columns by name; the accuracy is the first metric that is called so. */
static bool read_log(Contender *contender, const char *path, Arena *arena) {
  FILE *file = fopen(path, "r");
  char line[8192], *cells[MOST_COLUMNS];
  int loss = -1, accuracy = -1, val_loss = -1, val_accuracy = -1;
  if (!file || !fgets(line, sizeof line, file)) {
    if (file)
      fclose(file);
    return false;
  }
  int count = split_row(line, cells);
  for (int i = count - 1; i >= 0; i--) {
    bool val = !strncmp(cells[i], "val_", 4);
    if (!strcmp(cells[i], "loss"))
      loss = i;
    else if (!strcmp(cells[i], "val_loss"))
      val_loss = i;
    else if (strstr(cells[i], "accuracy"))
      *(val ? &val_accuracy : &accuracy) = i;
  }
  contender->epochs = arena_array(arena, Epoch, MOST_EPOCHS);
  while (fgets(line, sizeof line, file) && contender->epoch_count < MOST_EPOCHS) {
    count = split_row(line, cells);
    if (strcmp(cells[0], "epoch"))
      continue;
    contender->epochs[contender->epoch_count++] =
        (Epoch){cell(cells, count, loss), cell(cells, count, accuracy), cell(cells, count, val_loss),
                cell(cells, count, val_accuracy)};
  }
  fclose(file);
  return contender->epoch_count > 0;
}

/* Reads and compiles the file up to C; false after a message. */
static bool prepare_contender(Contender *contender, const CommandLine *line, Arena *arena) {
  Session *session = &contender->session;
  contender->failed = true;
  if (!session_open(session, line, contender->path) || !session_compile(session, line, NULL))
    return false;
  if (!session->graph->train.loss) {
    fprintf(stderr, "netc: %s has no `train` section to compare by\n", contender->path);
    return false;
  }
  contender->name = arena_strdup(arena, session->graph->name);
  contender->trained = count_trained(session->module);
  for (int w = 0; w < session->module->weight_count; w++)
    contender->parameters += session->module->weights[w].count;
  contender->split = session->graph->train.validation_split;
  contender->stratified = session->graph->train.stratified;
  return true;
}

static void run_contender(Contender *contender, const CommandLine *line, const char *folder, Arena *arena) {
  const char *exe = arena_printf(arena, "%s/%s", folder, contender->name);
  const char *log = arena_printf(arena, "%s.csv", exe),
             *save = arena_printf(arena, "%s.weights_legacy.h5", exe);
  printf("== %s\n", contender->path);
  contender->failed = build_executable(&contender->session, line, folder, exe) ||
                      !run_training(contender, line, exe, log, save) || !read_log(contender, log, arena);
  folder_empty(folder, arena);
}

/* What is wrong with any of the files or the data is said before the first training starts. */
static bool prepare_all(Contender *contenders, const CommandLine *line, Arena *arena) {
  bool good = true;
  if (access(line->data, R_OK)) {
    fprintf(stderr, "netc: %s: %s\n", line->data, strerror(errno));
    good = false;
  }
  for (int i = 0; i < line->file_count; i++) {
    contenders[i].path = line->files[i];
    good = prepare_contender(&contenders[i], line, arena) && good;
    if (i && contenders[i].name && contenders[0].name &&
        (contenders[i].split != contenders[0].split || contenders[i].stratified != contenders[0].stratified))
      fprintf(stderr, "netc: warning: %s and %s split off their validation images differently\n",
              contenders[0].path, contenders[i].path);
  }
  return good;
}

/* ---- the table ---- */

static Epoch best_epoch(const Contender *contender) {
  Epoch best = contender->epochs[0];
  for (int i = 1; i < contender->epoch_count; i++)
    if (contender->epochs[i].val_accuracy > best.val_accuracy)
      best = contender->epochs[i];
  return best;
}

static const char *number(char *text, size_t size, double value, const char *format) {
  if (value < 0)
    snprintf(text, size, "-");
  else
    snprintf(text, size, format, value);
  return text;
}

static const char *amount(char *text, size_t size, double value) {
  snprintf(text, size,
           value >= 1e6   ? "%.1f M"
           : value >= 1e3 ? "%.1f k"
                          : "%.0f",
           value >= 1e6   ? value / 1e6
           : value >= 1e3 ? value / 1e3
                          : value);
  return text;
}

static void print_table(const Contender *contenders, int count) {
  printf("\n%-24s %9s %9s %9s %9s %7s %9s %9s %9s %9s\n", "network", "val acc.", "best", "val loss",
         "accuracy", "epochs", "s/epoch", "total s", "peak MB", "trained");
  for (int i = 0; i < count; i++) {
    const Contender *c = &contenders[i];
    char a[16], b[16], l[16], t[16], p[16];
    if (c->failed) {
      printf("%-24s did not train\n", c->name ? c->name : c->path);
      continue;
    }
    Epoch last = c->epochs[c->epoch_count - 1], best = best_epoch(c);
    printf("%-24s %9s %9s %9s %9s %7d %9.2f %9.1f %9.0f %9s\n", c->name,
           number(a, sizeof a, last.val_accuracy, "%.4f"), number(b, sizeof b, best.val_accuracy, "%.4f"),
           number(l, sizeof l, last.val_loss, "%.4f"), number(t, sizeof t, last.accuracy, "%.4f"),
           c->epoch_count, c->seconds / c->epoch_count, c->seconds, c->peak_bytes / 1e6,
           amount(p, sizeof p, (double)c->trained));
  }
}

/* ---- the page ---- */

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#444444"};
enum { COLOURS = sizeof colours / sizeof *colours, PLOT_WIDTH = 560, PLOT_HEIGHT = 260 };

static double value_of(const Epoch *epoch, bool loss) {
  return loss ? epoch->val_loss : epoch->val_accuracy;
}

static void curve(const Contender *c, int index, bool loss, double most_epochs, double top, StrBuf *out) {
  strbuf_printf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
                colours[index % COLOURS]);
  for (int i = 0; i < c->epoch_count; i++)
    if (value_of(&c->epochs[i], loss) >= 0)
      strbuf_printf(out, "%.1f,%.1f ",
                    40 + (PLOT_WIDTH - 50) * (most_epochs > 1 ? i / (most_epochs - 1) : .5),
                    PLOT_HEIGHT - 30 - (PLOT_HEIGHT - 50) * value_of(&c->epochs[i], loss) / top);
  strbuf_puts(out, "\"/>\n");
}

static void plot(const Contender *contenders, int count, bool loss, StrBuf *out) {
  double most = 1, top = loss ? 1e-9 : 1;
  for (int i = 0; i < count; i++) {
    most = contenders[i].epoch_count > most ? contenders[i].epoch_count : most;
    for (int k = 0; k < contenders[i].epoch_count && loss; k++)
      top = contenders[i].epochs[k].val_loss > top ? contenders[i].epochs[k].val_loss : top;
  }
  strbuf_printf(out, "<figure><figcaption>%s by epoch</figcaption><svg viewBox=\"0 0 %d %d\" width=\"%d\">\n",
                loss ? "validation loss" : "validation accuracy", PLOT_WIDTH, PLOT_HEIGHT, PLOT_WIDTH);
  for (int i = 0; i <= 4; i++) {
    double y = PLOT_HEIGHT - 30 - (PLOT_HEIGHT - 50) * i / 4.0;
    strbuf_printf(
        out,
        "<line x1=\"40\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"34\" y=\"%.1f\" "
        "text-anchor=\"end\">%.3g</text>\n",
        PLOT_WIDTH - 10, y, y, y + 4, top * i / 4);
  }
  for (int i = 0; i < count; i++)
    if (!contenders[i].failed)
      curve(&contenders[i], i, loss, most, top, out);
  strbuf_printf(out,
                "<text x=\"40\" y=\"%d\">1</text><text x=\"%d\" y=\"%d\" "
                "text-anchor=\"end\">%.0f</text></svg></figure>\n",
                PLOT_HEIGHT - 8, PLOT_WIDTH - 10, PLOT_HEIGHT - 8, most);
}

static int write_page(const Contender *contenders, int count, const char *data, const char *path) {
  StrBuf out = {0};
  strbuf_printf(
      &out,
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>netc compare</title><style>\n"
      "body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}\n"
      "table{border-collapse:collapse}td,th{padding:.3em .8em;border-bottom:1px solid "
      "#ddd;text-align:right}\n"
      "td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:1em 1em 1em 0}\n"
      "svg text{font:11px sans-serif;fill:#555}\n</style></head><body>\n<h1>netc compare</h1>\n"
      "<p>Trained on %s, the same split and seed for all.</p>\n<table><tr><th>network</th><th>validation "
      "accuracy</th><th>best</th><th>validation loss</th><th>training accuracy</th><th>epochs</th><th>s per "
      "epoch</th><th>total s</th><th>peak MB</th><th>trained</th><th>parameters</th></tr>\n",
      data);
  for (int i = 0; i < count; i++) {
    const Contender *c = &contenders[i];
    char a[16], b[16], l[16], t[16], p[16], q[16];
    if (c->failed)
      continue;
    Epoch last = c->epochs[c->epoch_count - 1], best = best_epoch(c);
    strbuf_printf(
        &out,
        "<tr><td><span style=\"color:%s\">&#9632;</span> %s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td>"
        "<td>%d</td><td>%.2f</td><td>%.1f</td><td>%.0f</td><td>%s</td><td>%s</td></tr>\n",
        colours[i % COLOURS], c->name, number(a, sizeof a, last.val_accuracy, "%.4f"),
        number(b, sizeof b, best.val_accuracy, "%.4f"), number(l, sizeof l, last.val_loss, "%.4f"),
        number(t, sizeof t, last.accuracy, "%.4f"), c->epoch_count, c->seconds / c->epoch_count, c->seconds,
        c->peak_bytes / 1e6, amount(p, sizeof p, (double)c->trained),
        amount(q, sizeof q, (double)c->parameters));
  }
  strbuf_puts(&out, "</table>\n");
  plot(contenders, count, false, &out);
  plot(contenders, count, true, &out);
  strbuf_puts(&out, "</body></html>\n");
  int error = strbuf_write_file(&out, path);
  strbuf_free(&out);
  if (error)
    fprintf(stderr, "netc: cannot write `%s`: %s\n", path, strerror(error));
  return error ? 1 : 0;
}

int command_compare(const CommandLine *line) {
  if (!line->file_count || !line->data) {
    fprintf(stderr, "netc: `compare` wants .net files and --data DIR\n");
    return 2;
  }
  Arena arena = {0};
  Contender *contenders = arena_array(&arena, Contender, line->file_count);
  bool good = prepare_all(contenders, line, &arena);
  const char *folder = good ? folder_make_temporary(&arena) : NULL;
  int status = !folder;
  for (int i = 0; folder && i < line->file_count; i++) {
    run_contender(&contenders[i], line, folder, &arena);
    status |= contenders[i].failed;
  }
  for (int i = 0; i < line->file_count; i++)
    session_close(&contenders[i].session);
  if (folder) {
    rmdir(folder);
    print_table(contenders, line->file_count);
    if (line->html)
      status |= write_page(contenders, line->file_count, line->data, line->html);
  }
  arena_free(&arena);
  return status;
}
