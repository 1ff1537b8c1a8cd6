#include "onednn.h"
#include <stdlib.h>

#ifdef BENCH_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

enum { OPERANDS = 3 };

struct OneDnnConv {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_desc_t forward, desc; /* `forward` is the hint of the gradients; their own is `desc` */
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[OPERANDS];
  dnnl_exec_arg_t args[OPERANDS];
};

/* The operands' descriptions, layouts left to the library: x, w, y. */
static bool describe(const Conv2d *g, int n, dnnl_memory_desc_t *x, dnnl_memory_desc_t *w,
                     dnnl_memory_desc_t *y) {
  dnnl_dims_t x_dims = {n, g->in_c, g->in_h, g->in_w}, y_dims = {n, g->out_c, g->out_h, g->out_w},
              w_dims = {g->out_c, g->in_c, g->kernel_h, g->kernel_w},
              grouped = {g->groups, g->out_c / g->groups, g->in_c / g->groups, g->kernel_h, g->kernel_w};
  return dnnl_memory_desc_init_by_tag(x, 4, x_dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(y, 4, y_dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(w, g->groups > 1 ? 5 : 4, g->groups > 1 ? grouped : w_dims, dnnl_f32,
                                      dnnl_format_tag_any) == dnnl_success;
}

static int bottom(int in, int kernel, int stride, int dilation, int out, int top) {
  return (out - 1) * stride + (kernel - 1) * dilation + 1 - in - top;
}

static bool choose(OneDnnConv *c, const Conv2d *g, int n, Pass pass, dnnl_alg_kind_t algorithm) {
  dnnl_memory_desc_t x, w, y;
  dnnl_dims_t strides = {g->stride_h, g->stride_w}, dilates = {g->dilation_h - 1, g->dilation_w - 1},
              before = {g->pad_top, g->pad_left},
              after = {
                  bottom(g->in_h, g->kernel_h, g->stride_h, g->dilation_h, g->out_h, g->pad_top),
                  bottom(g->in_w, g->kernel_w, g->stride_w, g->dilation_w, g->out_w, g->pad_left),
              };
  dnnl_convolution_desc_t conv;
  if (!describe(g, n, &x, &w, &y) ||
      dnnl_dilated_convolution_forward_desc_init(&conv, dnnl_forward_training, algorithm, &x, &w, NULL, &y,
                                                 strides, dilates, before, after) != dnnl_success ||
      dnnl_primitive_desc_create(&c->forward, &conv, NULL, c->engine, NULL) != dnnl_success)
    return false;
  if (pass == FORWARD)
    return dnnl_primitive_desc_clone(&c->desc, c->forward) == dnnl_success;
  dnnl_status_t status = pass == INPUT_GRADIENT
                             ? dnnl_dilated_convolution_backward_data_desc_init(
                                   &conv, algorithm, &x, &w, &y, strides, dilates, before, after)
                             : dnnl_dilated_convolution_backward_weights_desc_init(
                                   &conv, algorithm, &x, &w, NULL, &y, strides, dilates, before, after);
  return status == dnnl_success &&
         dnnl_primitive_desc_create(&c->desc, &conv, NULL, c->engine, c->forward) == dnnl_success;
}

/* Filled with ones: not with whatever memory held, which may be denormal. */
static bool allocate(OneDnnConv *c, int i, dnnl_query_t which, int arg) {
  const dnnl_memory_desc_t *desc = dnnl_primitive_desc_query_md(c->desc, which, 0);
  void *data = NULL;
  if (!desc || dnnl_memory_create(&c->memory[i], desc, c->engine, DNNL_MEMORY_ALLOCATE) != dnnl_success ||
      dnnl_memory_get_data_handle(c->memory[i], &data) != dnnl_success)
    return false;
  for (size_t k = 0; k < dnnl_memory_desc_get_size(desc) / sizeof(float); k++)
    ((float *)data)[k] = 1.0f;
  c->args[i] = (dnnl_exec_arg_t){arg, c->memory[i]};
  return true;
}

OneDnnConv *onednn_conv(const Conv2d *g, int n, Pass pass, bool winograd, int threads) {
  static const struct {
    dnnl_query_t which;
    int arg;
  } operands[][OPERANDS] = {
      {{dnnl_query_src_md, DNNL_ARG_SRC},
       {dnnl_query_weights_md, DNNL_ARG_WEIGHTS},
       {dnnl_query_dst_md, DNNL_ARG_DST}},
      {{dnnl_query_diff_src_md, DNNL_ARG_DIFF_SRC},
       {dnnl_query_weights_md, DNNL_ARG_WEIGHTS},
       {dnnl_query_diff_dst_md, DNNL_ARG_DIFF_DST}},
      {{dnnl_query_src_md, DNNL_ARG_SRC},
       {dnnl_query_diff_weights_md, DNNL_ARG_DIFF_WEIGHTS},
       {dnnl_query_diff_dst_md, DNNL_ARG_DIFF_DST}},
  };
  OneDnnConv *c = calloc(1, sizeof *c);
  omp_set_num_threads(threads);
  bool done = c && dnnl_engine_create(&c->engine, dnnl_cpu, 0) == dnnl_success &&
              dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags) == dnnl_success &&
              choose(c, g, n, pass, winograd ? dnnl_convolution_winograd : dnnl_convolution_direct) &&
              dnnl_primitive_create(&c->primitive, c->desc) == dnnl_success;
  for (int i = 0; done && i < OPERANDS; i++)
    done = allocate(c, i, operands[pass][i].which, operands[pass][i].arg);
  if (done)
    return c;
  onednn_free(c);
  return NULL;
}

void onednn_run(void *conv) {
  OneDnnConv *c = conv;
  dnnl_primitive_execute(c->primitive, c->stream, OPERANDS, c->args);
  dnnl_stream_wait(c->stream);
}

void onednn_free(OneDnnConv *c) {
  if (!c)
    return;
  for (int i = 0; i < OPERANDS; i++)
    if (c->memory[i])
      dnnl_memory_destroy(c->memory[i]);
  if (c->primitive)
    dnnl_primitive_destroy(c->primitive);
  if (c->desc)
    dnnl_primitive_desc_destroy(c->desc);
  if (c->forward)
    dnnl_primitive_desc_destroy(c->forward);
  if (c->stream)
    dnnl_stream_destroy(c->stream);
  if (c->engine)
    dnnl_engine_destroy(c->engine);
  free(c);
}
#else
OneDnnConv *onednn_conv(const Conv2d *g, int n, Pass pass, bool winograd, int threads) {
  (void)g;
  (void)n;
  (void)pass;
  (void)winograd;
  (void)threads;
  return NULL;
}

void onednn_run(void *conv) {
  (void)conv;
}

void onednn_free(OneDnnConv *conv) {
  (void)conv;
}
#endif
