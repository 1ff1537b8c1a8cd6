/* The library interface (runtime/api) around the hand-written network: what works, and a code for every bad
 * call. */
#include <criterion/criterion.h>
#include <pthread.h>

#define FAKE_EPOCHS 1
#include "fake_model.h"
#include "../../runtime/api/files.h"
#include "../../runtime/api/train.h"
#include "../../runtime/random.h"

static Model *make(int batch) {
  Model *model;
  cr_assert_eq(model_create(&model, NULL, 0, batch, 1), MODEL_OK);
  cr_assert_eq(model_initialize(model, 5), MODEL_OK);
  return model;
}

static void draw(float *x, size_t count, uint64_t stream) {
  for (size_t i = 0; i < count; i++)
    x[i] = (float)(255 * random_uniform(1, stream, i));
}

Test(api, heap_and_own_memory_give_the_same) {
  float x[5 * FAKE_INPUT], a[5 * FAKE_CLASSES], b[5 * FAKE_CLASSES];
  size_t size = model_size(2, 1);
  void *memory = aligned_alloc(MODEL_ALIGNMENT, size);
  Model *own, *heap = make(4);
  draw(x, 5 * FAKE_INPUT, 1);
  cr_assert_eq(model_create(&own, memory, size, 2, 1), MODEL_OK);
  cr_assert_eq(model_initialize(own, 5), MODEL_OK);
  cr_assert_eq(model_predict(heap, 5, x, a), MODEL_OK);
  cr_assert_eq(model_predict(own, 5, x, b), MODEL_OK);
  cr_expect_arr_eq(a, b, sizeof a);
  model_destroy(own);
  model_destroy(heap);
  free(memory);
}

Test(api, bad_calls_have_their_codes) {
  Model *model = NULL;
  size_t size = model_size(2, 1);
  char *memory = aligned_alloc(MODEL_ALIGNMENT, size + MODEL_ALIGNMENT);
  float y[FAKE_CLASSES], x[FAKE_INPUT];
  cr_expect_eq(model_size(0, 1), 0);
  cr_expect_eq(model_size(1, 0), 0);
  cr_expect_eq(model_create(NULL, NULL, 0, 1, 1), MODEL_ERROR_NULL);
  cr_expect_eq(model_create(&model, NULL, 0, -1, 1), MODEL_ERROR_RANGE);
  cr_expect_eq(model_create(&model, memory + 4, size, 2, 1), MODEL_ERROR_ALIGNMENT);
  cr_expect_eq(model_create(&model, memory, size - 1, 2, 1), MODEL_ERROR_SHORT);
  cr_expect_null(model);
  cr_assert_eq(model_create(&model, memory, size, 2, 1), MODEL_OK);
  cr_expect_eq(model_predict(NULL, 1, x, y), MODEL_ERROR_NULL);
  cr_expect_eq(model_predict(model, 1, NULL, y), MODEL_ERROR_NULL);
  cr_expect_eq(model_predict(model, -1, x, y), MODEL_ERROR_RANGE);
  cr_expect_eq(model_get_tensor(model, 4, y, 3), MODEL_ERROR_RANGE);
  cr_expect_eq(model_get_tensor(model, 0, y, 3), MODEL_ERROR_SHORT);
  cr_expect_eq(model_train_step(model, 3, x, y, NULL, NULL), MODEL_ERROR_RANGE);
  cr_expect_eq(model_begin_phase(model, 2, 0), MODEL_ERROR_RANGE);
  cr_expect_eq(model_scale_learning_rate(model, -1), MODEL_ERROR_RANGE);
  cr_expect_eq(model_find_tensor("base", "gamma"), -1);
  cr_expect_eq(model_load_file(model, "/nowhere/weights.bin"), MODEL_ERROR_FILE);
  cr_expect_eq(model_save_file(model, 0, "/nowhere/weights.bin"), MODEL_ERROR_FILE);
  for (int status = MODEL_OK; status <= MODEL_ERROR_PROCESSOR; status++)
    cr_expect(strcmp(model_status_text((ModelStatus)status), "unknown status"));
  model_destroy(model);
  model_destroy(NULL);
  free(memory);
}

Test(api, weights_go_out_and_in) {
  Model *a = make(1), *b = make(1);
  size_t length = model_saved_bytes(0);
  unsigned char *bytes = malloc(length);
  float head[FAKE_HIDDEN * FAKE_CLASSES], again[FAKE_HIDDEN * FAKE_CLASSES];
  int kernel = model_find_tensor("head", "kernel");
  ModelTensor tensor;
  cr_assert_eq(model_tensor(kernel, &tensor), MODEL_OK);
  cr_expect_eq(tensor.count, FAKE_HIDDEN * FAKE_CLASSES);
  cr_expect_eq(tensor.dim[1], FAKE_CLASSES);
  draw(head, FAKE_HIDDEN * FAKE_CLASSES, 2);
  cr_assert_eq(model_set_tensor(a, kernel, head, FAKE_HIDDEN * FAKE_CLASSES), MODEL_OK);
  cr_assert_eq(model_save_bytes(a, 0, bytes, length - 1), MODEL_ERROR_SHORT);
  cr_assert_eq(model_save_bytes(a, 0, bytes, length), MODEL_OK);
  cr_assert_eq(model_load_bytes(b, bytes, length), MODEL_OK);
  cr_assert_eq(model_get_tensor(b, kernel, again, FAKE_HIDDEN * FAKE_CLASSES), MODEL_OK);
  cr_expect_arr_eq(head, again, sizeof head);
  for (size_t at = 0; at < length; at += 37) { /* any bit that is wrong is noticed, and nothing is changed */
    bytes[at] ^= 16;
    cr_expect_neq(model_load_bytes(b, bytes, length), MODEL_OK, "byte %zu", at);
    bytes[at] ^= 16;
  }
  cr_expect_eq(model_load_bytes(b, bytes, length - 1), MODEL_ERROR_DAMAGED);
  cr_expect_eq(model_load_bytes(b, bytes, 10), MODEL_ERROR_DAMAGED);
  bytes[8] = 9;
  cr_expect_eq(model_load_bytes(b, bytes, length), MODEL_ERROR_VERSION);
  cr_assert_eq(model_get_tensor(b, kernel, again, FAKE_HIDDEN * FAKE_CLASSES), MODEL_OK);
  cr_expect_arr_eq(head, again, sizeof head);
  free(bytes);
  model_destroy(a);
  model_destroy(b);
}

Test(api, weights_of_another_network_are_refused) {
  ModelInfo other = model_info;
  ModelWeight weights[4];
  BlobHead head;
  float params[FAKE_PARAMS] = {0};
  memcpy(weights, fake_weights, sizeof weights);
  weights[2].name = "gamma";
  other.weights = weights;
  size_t length = blob_bytes(&other, false);
  unsigned char *bytes = malloc(length);
  blob_write(&other, params, false, bytes);
  cr_expect_eq(blob_check(&other, bytes, length, &head), MODEL_OK);
  cr_expect_eq(blob_check(&model_info, bytes, length, &head), MODEL_ERROR_FOREIGN);
  free(bytes);
}

Test(api, files_are_replaced_whole) {
  char path[] = "/tmp/netc_api_XXXXXX";
  int file = mkstemp(path);
  cr_assert_geq(file, 0);
  Model *a = make(1), *b;
  float x[FAKE_INPUT], ya[FAKE_CLASSES], yb[FAKE_CLASSES];
  draw(x, FAKE_INPUT, 3);
  cr_assert_eq(model_create(&b, NULL, 0, 1, 1), MODEL_OK);
  cr_assert_eq(model_save_file(a, 0, path), MODEL_OK);
  cr_assert_eq(model_load_file(b, path), MODEL_OK);
  model_predict(a, 1, x, ya);
  model_predict(b, 1, x, yb);
  cr_expect_arr_eq(ya, yb, sizeof ya);
  cr_assert_eq(model_save_file(a, 1, path), MODEL_OK);
  cr_assert_eq(model_load_file(b, path), MODEL_OK);
  model_predict(b, 1, x, yb);
  for (int k = 0; k < FAKE_CLASSES; k++)
    cr_expect_float_eq(ya[k], yb[k], 2e-3);
  remove(path);
  model_destroy(a);
  model_destroy(b);
}

/* Every half there is comes back as itself; what lies between goes to the nearer one, ties to even. */
Test(api, half_precision_rounds_to_nearest_even) {
  for (unsigned half = 0; half < 0x10000; half++) {
    if ((half & 0x7c00) == 0x7c00 && (half & 0x3ff))
      continue; /* not numbers keep no payload */
    cr_assert_eq(blob_half(blob_single(half)), half, "%04x", half);
    if ((half & 0x7fff) >= 0x7bff)
      continue;
    float low = blob_single(half), high = blob_single(half + 1), middle = low + (high - low) / 2;
    cr_assert_eq(blob_half(middle), half & 1 ? half + 1 : half, "tie above %04x", half);
    cr_assert_eq(blob_half(low + (high - low) * 0.49f), half, "below the tie above %04x", half);
    cr_assert_eq(blob_half(low + (high - low) * 0.51f), half + 1, "above the tie above %04x", half);
  }
  cr_expect_eq(blob_half(65520), 0x7c00);
  cr_expect_eq(blob_half(65519), 0x7bff);
  cr_expect_eq(blob_half(-1e-30f), 0x8000);
}

Test(api, training_steps_lower_the_loss) {
  enum { N = 8 };
  Model *model = make(N);
  float x[N * FAKE_INPUT], target[N * FAKE_CLASSES] = {0}, first = 0, loss = 0;
  uint8_t pixels[N * FAKE_INPUT];
  for (int i = 0; i < N; i++) {
    target[i * FAKE_CLASSES + i % FAKE_CLASSES] = 1;
    for (int p = 0; p < FAKE_INPUT; p++)
      pixels[i * FAKE_INPUT + p] = (uint8_t)((p % FAKE_CLASSES == i % FAKE_CLASSES ? 150 : 20) + i);
  }
  cr_assert_eq(model_phase_count(), 2);
  cr_assert_eq(model_preprocess(N, pixels, x), MODEL_OK);
  cr_assert_eq(model_begin_phase(model, 0, 7), MODEL_OK);
  cr_expect_float_eq(model_learning_rate(model), 0.2, 1e-12);
  cr_assert_eq(model_train_step(model, N, x, target, NULL, &first), MODEL_OK);
  float *features = malloc(N * model_feature_floats(0) * sizeof *features);
  cr_assert_eq(model_extract_features(model, N, x, features), MODEL_OK);
  for (int i = 0; i < 20; i++)
    cr_assert_eq(model_train_step_features(model, N, features, target, NULL, &loss), MODEL_OK);
  cr_expect_lt(loss, first);
  float before = loss;
  cr_assert_eq(model_end_phase(model), MODEL_OK);
  cr_assert_eq(model_begin_phase(model, 1, 7), MODEL_OK);
  for (int i = 0; i < 20; i++)
    cr_assert_eq(model_train_step_pixels(model, N, pixels, target, NULL, &loss), MODEL_OK);
  cr_expect_lt(loss, before);
  float y[N * FAKE_CLASSES], now = 0;
  cr_assert_eq(model_predict(model, N, x, y), MODEL_OK);
  cr_assert_eq(model_evaluate(model, N, y, target, NULL, &now), MODEL_OK);
  cr_expect_leq(now, loss);
  target[0] = NAN;
  cr_expect_eq(model_train_step(model, N, x, target, NULL, &loss), MODEL_ERROR_NOT_FINITE);
  free(features);
  model_destroy(model);
}

typedef struct Turn {
  pthread_t thread;
  float y[FAKE_CLASSES];
} Turn;

static void *predict_in_thread(void *argument) {
  Turn *turn = argument;
  float x[FAKE_INPUT];
  Model *model;
  draw(x, FAKE_INPUT, 9);
  if (model_create(&model, NULL, 0, 1, 1) != MODEL_OK || model_initialize(model, 5) != MODEL_OK)
    return NULL;
  for (int i = 0; i < 100; i++)
    model_predict(model, 1, x, turn->y);
  model_destroy(model);
  return NULL;
}

Test(api, a_hundred_threads_agree) {
  static Turn turns[100];
  for (int i = 0; i < 100; i++)
    cr_assert_eq(pthread_create(&turns[i].thread, NULL, predict_in_thread, &turns[i]), 0);
  for (int i = 0; i < 100; i++)
    pthread_join(turns[i].thread, NULL);
  cr_expect_gt(turns[0].y[0], 0);
  for (int i = 1; i < 100; i++)
    cr_expect_arr_eq(turns[i].y, turns[0].y, sizeof turns[0].y);
}
