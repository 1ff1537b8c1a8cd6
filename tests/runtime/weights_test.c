/* Weight files: every layout Keras has used, mismatches, damage, saving, starting weights.  Run from the
 * repository's root, or with LAYOUTS naming the folder of files. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>

#include "../../runtime/weights/init.h"
#include "../../runtime/weights/load.h"
#include "../../runtime/weights/save.h"
#include "layouts.h"

static const char *layout_file(const char *name) {
  static char path[2][512];
  static int turn;
  const char *folder = getenv("LAYOUTS") ? getenv("LAYOUTS") : "tests/runtime/layouts";
  turn = !turn;
  snprintf(path[turn], sizeof path[0], "%s/%s", folder, name);
  return path[turn];
}

/* A fresh folder for what a test writes. */
static const char *scratch_file(const char *name) {
  static char path[2][512];
  static int turn;
  static char folder[64];
  if (!*folder) {
    snprintf(folder, sizeof folder, "%s/netc_weights_XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
  }
  turn = !turn;
  snprintf(path[turn], sizeof path[0], "%s/%s", folder, name);
  return path[turn];
}

/* The weights of <name>.io.h5 against params. */
static void expect_weights(const Layout *layout, const char *name, const float *params, const char *file) {
  char path[256], number[16];
  snprintf(path, sizeof path, "%s.io.h5", name);
  hid_t io = H5Fopen(layout_file(path), H5F_ACC_RDONLY, H5P_DEFAULT);
  cr_assert_geq(io, 0, "%s cannot be opened", path);
  int compared = 0;
  for (int i = 0; i < 100; i++) {
    snprintf(number, sizeof number, "w/%03d", i);
    if (!h5_has(io, number))
      continue;
    hid_t dataset = H5Dopen2(io, number, H5P_DEFAULT);
    char *full = h5_read_text(dataset, "path");
    H5Dclose(dataset);
    cr_assert_not_null(full);
    for (int w = 0; w < layout->info.weight_count; w++) {
      const ModelWeight *weight = &layout->weights[w];
      char end[128];
      snprintf(end, sizeof end, "%s/%s", layout->layers[weight->layer].name, weight->name);
      if (strcmp(full, end) && !(system_ends_with(full, end) && full[strlen(full) - strlen(end) - 1] == '/'))
        continue;
      float *right = system_allocate(weight->count * sizeof *right);
      cr_assert(h5_read_dataset(io, number, H5T_NATIVE_FLOAT, right));
      cr_assert(!memcmp(right, params + weight->offset, weight->count * sizeof *right), "%s: %s is wrong",
                file, end);
      free(right);
      compared++;
    }
    free(full);
  }
  H5Fclose(io);
  cr_assert_eq(compared, layout->info.weight_count, "%s: %d weights compared", file, compared);
}

static void expect_loads(const LayoutLayer *layers, int count, const char *name, const char *const *kinds) {
  Layout layout;
  Fault fault;
  LoadResult result;
  layout_build(&layout, name, layers, count);
  for (; *kinds; kinds++) {
    char file[128];
    float *params = system_allocate(layout.info.param_floats * sizeof *params);
    snprintf(file, sizeof file, "%s.%s", name, *kinds);
    for (int by_name = 0; by_name < 2; by_name++) {
      LoadOptions options = {.by_name = by_name};
      memset(params, 0, layout.info.param_floats * sizeof *params);
      cr_assert(load_weights(&layout.info, params, layout_file(file), &options, &result, &fault), "%s",
                fault.text);
      cr_expect_eq(result.matched, result.wanted);
      cr_expect_eq(result.extra, 0);
      cr_expect(!result.names_differ);
      expect_weights(&layout, name, params, file);
    }
    free(params);
  }
}

static const char *const kinds_all[] = {"weights_legacy.h5", "full_legacy.h5",   "weights.h5", "keras",
                                        "tfkeras2.h5",       "tfkeras2_full.h5", NULL};

Test(weights, tiny_loads_from_every_layout) {
  static const char *const first[] = {"keras1.h5", NULL};
  expect_loads(layout_tiny, LAYOUT_COUNT(layout_tiny), "tiny", kinds_all);
  expect_loads(layout_tiny, LAYOUT_COUNT(layout_tiny), "tiny", first);
}

Test(weights, automatic_names_and_branches) {
  expect_loads(layout_auto_named, LAYOUT_COUNT(layout_auto_named), "auto_named", kinds_all);
}

Test(weights, nested_models_are_taken_apart) {
  expect_loads(layout_nested_functional, LAYOUT_COUNT(layout_nested_functional), "nested_functional",
               kinds_all);
  expect_loads(layout_nested_sequential, LAYOUT_COUNT(layout_nested_sequential), "nested_sequential",
               kinds_all);
}

Test(weights, layers_of_other_names_are_paired_by_order) {
  static const char *const kinds[] = {"weights_legacy.h5", "weights.h5", "keras", "tfkeras2.h5", NULL};
  LayoutLayer renamed[LAYOUT_COUNT(layout_tiny)];
  char names[LAYOUT_COUNT(layout_tiny)][16];
  Layout layout, right;
  Fault fault;
  LoadResult result;
  for (int i = 0; i < LAYOUT_COUNT(layout_tiny); i++) {
    snprintf(names[i], sizeof names[i], "other_%c", 'a' + i);
    renamed[i] = layout_tiny[i];
    renamed[i].name = names[i];
  }
  layout_build(&layout, "tiny", renamed, LAYOUT_COUNT(layout_tiny));
  layout_build(&right, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  for (int k = 0; kinds[k]; k++) {
    char file[64];
    float params[1000] = {0};
    LoadOptions options = {0};
    snprintf(file, sizeof file, "tiny.%s", kinds[k]);
    cr_assert(load_weights(&layout.info, params, layout_file(file), &options, &result, &fault), "%s",
              fault.text);
    cr_expect(result.names_differ);
    expect_weights(&right, "tiny", params, file);
    options.by_name = true;
    cr_expect(!load_weights(&layout.info, params, layout_file(file), &options, &result, &fault));
    cr_expect(strstr(fault.text, "no layer of the file has the name"), "%s", fault.text);
  }
}

Test(weights, attributes_in_pieces_are_joined) {
  WeightsTable table;
  Fault fault;
  cr_assert(table_open(&table, layout_file("chunked.weights_legacy.h5"), &fault), "%s", fault.text);
  int weights = 0;
  for (int i = 0; i < table.layer_count; i++)
    weights += table.layers[i].weight_count;
  cr_expect_gt(weights, 100);
  float *data = system_allocate(1 << 20);
  const TableLayer *last = &table.layers[0];
  for (int w = 0; w < last->weight_count; w++)
    cr_expect(table_read_weight(&table, &last->weights[w], data, &fault), "%s", fault.text);
  free(data);
  table_close(&table);
}

Test(weights, a_part_of_the_network_is_loaded_from_its_own_file) {
  static const int base[] = {1, 2, 3, 4, 5};
  Layout layout;
  Fault fault;
  LoadResult result;
  float params[1000], whole[1000];
  layout_build(&layout, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  for (int i = 0; i < 1000; i++)
    params[i] = -1;
  LoadOptions options = {.layers = base, .layer_count = 5, .part = "base", .extra_allowed = true};
  static const char *const files[] = {"tiny.weights_legacy.h5", "tiny.weights.h5",
                                      "nested_sequential.tfkeras2.h5"};
  for (int i = 0; i < 3; i++) {
    LoadOptions all = {0};
    cr_assert(load_weights(&layout.info, params, layout_file(files[i]), &options, &result, &fault), "%s",
              fault.text);
    cr_expect_gt(result.extra, 0);
    cr_expect_eq(result.matched, 3);
    if (i < 2) {
      cr_assert(load_weights(&layout.info, whole, layout_file(files[i]), &all, &result, &fault), "%s",
                fault.text);
      cr_expect(!memcmp(params, whole, layout.weights[7].offset * sizeof *params));
    }
  }
  for (size_t i = layout.weights[7].offset; i < layout.info.param_floats; i++)
    cr_assert_eq(params[i], -1, "weights outside the part were touched");
  options.extra_allowed = false;
  cr_expect(!load_weights(&layout.info, params, layout_file(files[0]), &options, &result, &fault));
  cr_expect(strstr(fault.text, "load it by name"), "%s", fault.text);
}

Test(weights, every_mismatch_is_named_and_nothing_loaded) {
  LayoutLayer wrong[LAYOUT_COUNT(layout_tiny)];
  Layout layout;
  Fault fault;
  LoadResult result;
  float params[1000];
  memcpy(wrong, layout_tiny, sizeof wrong);
  wrong[1].weights[0].dim[3] = 8;
  wrong[1].weights[1].dim[0] = 8;
  wrong[9].weights[0].dim[1] = 7;
  layout_build(&layout, "tiny", wrong, LAYOUT_COUNT(layout_tiny));
  static const char *const files[] = {"tiny.weights_legacy.h5", "tiny.weights.h5", "tiny.keras"};
  for (int i = 0; i < 3; i++) {
    LoadOptions options = {0};
    memset(params, 0, sizeof params);
    cr_expect(!load_weights(&layout.info, params, layout_file(files[i]), &options, &result, &fault));
    cr_expect(strstr(fault.text, files[i]) && strstr(fault.text, "nothing was loaded"), "%s", fault.text);
    if (!i) {
      cr_expect(strstr(fault.text, "block1_conv1/kernel wants shape (3, 3, 3, 8)"), "%s", fault.text);
      cr_expect(strstr(fault.text, "(3, 3, 3, 4)") && strstr(fault.text, "block1_conv1/bias"), "%s",
                fault.text);
      cr_expect(strstr(fault.text, "dense_1/kernel wants shape (5, 7)"), "%s", fault.text);
    }
    for (int k = 0; k < 1000; k++)
      cr_assert_eq(params[k], 0, "something was loaded");
  }
}

static void copy_file(const char *from, const char *to, size_t length, size_t flip) {
  size_t size;
  Fault fault;
  unsigned char *bytes = system_read_file(from, &size, &fault);
  cr_assert_not_null(bytes, "%s", fault.text);
  if (flip < size)
    bytes[flip] ^= 0x10;
  FILE *file = fopen(to, "wb");
  cr_assert_not_null(file);
  fwrite(bytes, 1, length < size ? length : size, file);
  fclose(file);
  free(bytes);
}

Test(weights, damaged_and_foreign_files_are_refused) {
  Layout layout;
  Fault fault;
  LoadResult result;
  LoadOptions options = {0};
  float params[1000];
  char text[512];
  static const char *const files[] = {"tiny.weights_legacy.h5", "tiny.weights.h5", "tiny.keras"};
  layout_build(&layout, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  for (int i = 0; i < 3; i++) {
    static const size_t lengths[] = {0, 10, 500, 5000, 20000};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
      snprintf(text, sizeof text, "%s", scratch_file(files[i]));
      copy_file(layout_file(files[i]), text, lengths[k], (size_t)-1);
      cr_expect(!load_weights(&layout.info, params, text, &options, &result, &fault),
                "%s of %zu bytes was read", files[i], lengths[k]);
      cr_expect(strstr(fault.text, text), "the file is not named: %s", fault.text);
    }
  }
  cr_expect(!load_weights(&layout.info, params, layout_file("tiny.io.h5"), &options, &result, &fault));
  cr_expect(strstr(fault.text, "without Keras weights"), "%s", fault.text);
  cr_expect(!load_weights(&layout.info, params, "/no/such/file.h5", &options, &result, &fault));
  cr_expect(!load_weights(&layout.info, params, "/", &options, &result, &fault));
  cr_expect(strstr(fault.text, "folder"), "%s", fault.text);
  cr_expect(!load_weights(&layout.info, params, layout_file("auto_named.keras"), &options, &result, &fault));
}

Test(weights, what_is_saved_loads_again) {
  Layout layout;
  Fault fault;
  LoadResult result;
  float params[1000], again[1000];
  static const char *const names[] = {"saved.h5", "saved.weights.h5"};
  layout_build(&layout, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  init_weights(&layout.info, 5, params);
  for (int i = 0; i < 2; i++)
    for (int turn = 0; turn < 2; turn++) { /* the second one replaces the first */
      LoadOptions options = {.by_name = turn};
      const char *path = scratch_file(names[i]);
      cr_assert(save_weights(&layout.info, params, path, NULL, NULL, &fault), "%s", fault.text);
      memset(again, 0, sizeof again);
      cr_assert(load_weights(&layout.info, again, path, &options, &result, &fault), "%s", fault.text);
      cr_expect(!memcmp(params, again, layout.info.param_floats * sizeof *params));
    }
}

/* The attributes and places that Keras's load_weights reads. */
Test(weights, saved_legacy_files_look_like_keras_own) {
  Layout layout;
  Fault fault;
  float params[1000] = {0};
  layout_build(&layout, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  const char *path = scratch_file("legacy.h5");
  cr_assert(save_weights(&layout.info, params, path, NULL, NULL, &fault), "%s", fault.text);
  hid_t ours = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t keras = H5Fopen(layout_file("tiny.weights_legacy.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
  H5Texts a, b;
  cr_assert(h5_read_texts(ours, "layer_names", &a) && h5_read_texts(keras, "layer_names", &b));
  cr_assert_eq(a.count, b.count);
  for (int i = 0; i < a.count; i++) {
    H5Texts v, w;
    cr_assert_str_eq(a.texts[i], b.texts[i]);
    hid_t group = H5Gopen2(ours, a.texts[i], H5P_DEFAULT), other = H5Gopen2(keras, a.texts[i], H5P_DEFAULT);
    cr_assert(h5_read_texts(group, "weight_names", &v) && h5_read_texts(other, "weight_names", &w));
    cr_assert_eq(v.count, w.count);
    for (int k = 0; k < v.count; k++) {
      H5Shape left = h5_shape(group, v.texts[k]), right = h5_shape(other, w.texts[k]);
      cr_expect_str_eq(v.texts[k], w.texts[k]);
      cr_expect(left.rank == right.rank && left.type_size == 4 &&
                !memcmp(left.dim, right.dim, (size_t)left.rank * sizeof *left.dim));
    }
    h5_texts_free(&v);
    h5_texts_free(&w);
    H5Gclose(group);
    H5Gclose(other);
  }
  cr_expect(H5Aexists(ours, "backend") > 0 && H5Aexists(ours, "keras_version") > 0);
  cr_expect(h5_has(ours, "top_level_model_weights"));
  h5_texts_free(&a);
  h5_texts_free(&b);
  H5Fclose(ours);
  H5Fclose(keras);
}

Test(weights, long_attributes_are_written_in_pieces) {
  enum { MANY = 9000 };
  static char text[MANY][24];
  static char *texts[MANY];
  hid_t file = H5Fcreate(scratch_file("pieces.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Texts again;
  for (int i = 0; i < MANY; i++) {
    snprintf(text[i], sizeof text[i], "layer_%d", i);
    texts[i] = text[i];
  }
  cr_assert(h5_write_texts(file, "layer_names", texts, MANY));
  cr_expect(H5Aexists(file, "layer_names") <= 0 && H5Aexists(file, "layer_names0") > 0);
  cr_assert(h5_read_texts(file, "layer_names", &again));
  cr_assert_eq(again.count, MANY);
  for (int i = 0; i < MANY; i++)
    cr_assert_str_eq(again.texts[i], texts[i]);
  h5_texts_free(&again);
  H5Fclose(file);
}

Test(weights, a_write_that_fails_leaves_the_old_file) {
  Layout layout;
  Fault fault;
  LoadResult result;
  LoadOptions options = {0};
  float params[1000], again[1000];
  layout_build(&layout, "tiny", layout_tiny, LAYOUT_COUNT(layout_tiny));
  init_weights(&layout.info, 5, params);
  char path[512];
  snprintf(path, sizeof path, "%s", scratch_file("kept.h5"));
  cr_assert(save_weights(&layout.info, params, path, NULL, NULL, &fault));
  /* A child that may write only 4096 bytes to a file: as a full disk. */
  pid_t child = fork();
  if (!child) {
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    params[0] = 7;
    _exit(save_weights(&layout.info, params, path, NULL, NULL, &fault) ? 1
          : strstr(fault.text, path)                                   ? 0
                                                                       : 2);
  }
  int status;
  waitpid(child, &status, 0);
  cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
  cr_assert(load_weights(&layout.info, again, path, &options, &result, &fault), "%s", fault.text);
  cr_expect(!memcmp(params, again, layout.info.param_floats * sizeof *params));
  cr_expect(!save_weights(&layout.info, params, "/no/such/folder/x.h5", NULL, NULL, &fault));
  cr_expect(strstr(fault.text, "/no/such/folder/x.h5"));
}

Test(init, draws_follow_their_distribution_and_the_seed) {
  enum { COUNT = 40000 };
  static float a[COUNT], b[COUNT];
  ModelWeight weight = {.name = "kernel", .rank = 2, .dim = {200, 200}, .count = COUNT};
  ModelInfo info = {.weights = &weight, .weight_count = 1, .param_floats = COUNT};
  static const struct {
    ModelInit init;
    double a, b, mean, deviation, most;
  } cases[] = {{MODEL_INIT_CONSTANT, 2, 0, 2, 0, 2},
               {MODEL_INIT_UNIFORM, -1, 3, 1, 1.1547, 3},
               {MODEL_INIT_NORMAL, 1, 2, 1, 2, 20},
               {MODEL_INIT_TRUNCATED_NORMAL, 0, 2, 0, 2 * .87962566, 4}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    double sum = 0, squares = 0, most = 0;
    weight.init = cases[c].init;
    weight.a = cases[c].a;
    weight.b = cases[c].b;
    init_weights(&info, 9, a);
    init_weights(&info, 9, b);
    cr_expect(!memcmp(a, b, sizeof a));
    for (int i = 0; i < COUNT; i++) {
      sum += (double)a[i];
      squares += (double)a[i] * (double)a[i];
      most = fabs((double)a[i]) > most ? fabs((double)a[i]) : most;
    }
    double mean = sum / COUNT;
    cr_expect_float_eq(mean, cases[c].mean, .05);
    cr_expect_float_eq(sqrt(fabs(squares / COUNT - mean * mean)), cases[c].deviation, .03);
    cr_expect_leq(most, cases[c].most);
    init_weights(&info, 10, b);
    cr_expect(cases[c].init == MODEL_INIT_CONSTANT || memcmp(a, b, sizeof a));
  }
}

Test(init, orthogonal_rows_and_identity) {
  ModelWeight weight = {
      .name = "kernel", .rank = 3, .dim = {2, 5, 7}, .count = 70, .init = MODEL_INIT_ORTHOGONAL, .a = 2};
  ModelInfo info = {.weights = &weight, .weight_count = 1, .param_floats = 70};
  float w[70];
  init_weights(&info, 1, w); /* 10 rows of 7: columns are orthonormal */
  for (int i = 0; i < 7; i++)
    for (int k = 0; k < 7; k++) {
      double dot = 0;
      for (int r = 0; r < 10; r++)
        dot += (double)w[r * 7 + i] * (double)w[r * 7 + k];
      cr_expect_float_eq(dot, i == k ? 4 : 0, 1e-5);
    }
  weight = (ModelWeight){
      .name = "kernel", .rank = 2, .dim = {3, 4}, .count = 12, .init = MODEL_INIT_IDENTITY, .a = 1};
  info.param_floats = 12;
  init_weights(&info, 1, w);
  for (int i = 0; i < 12; i++)
    cr_expect_eq(w[i], i / 4 == i % 4 ? 1 : 0);
}
