/* oneDNN's convolutions, a peer of ours: compiled in where its headers are (2.x; `apt-get install
 * libdnnl-dev`). */
#ifndef NETC_TESTS_ONEDNN_H
#define NETC_TESTS_ONEDNN_H
#include "../../runtime/kernels/conv2d.h"

typedef enum Pass { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT } Pass;

typedef struct OneDnnConv OneDnnConv;

/* In the layouts that it likes best, without bias or activation, on as many threads as OpenMP has.  NULL
 * where it is not installed or has no such kernel for this processor. */
OneDnnConv *onednn_conv(const Conv2d *g, int n, Pass pass, bool winograd, int threads);
void onednn_run(void *conv);
void onednn_free(OneDnnConv *conv);
#endif
