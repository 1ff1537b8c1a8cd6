#include "graph.h"
#include "order.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void layer_add_weight(Layer *layer, const char *name, Shape shape, bool trainable, const Call *initializer,
                      const Call *regularizer, const Call *constraint) {
  if (layer->weight_count == LAYER_MAX_WEIGHTS) {
    fprintf(stderr, "netc: bug: `%s` has more than %d weights\n", layer->call.signature->name,
            (int)LAYER_MAX_WEIGHTS);
    abort();
  }
  layer->weights[layer->weight_count++] =
      (LayerWeight){name, shape, trainable, initializer, regularizer, constraint};
}

Layer *graph_find(const Graph *graph, const char *layer_name) {
  for (int i = 0; i < graph->layer_count; i++)
    if (!strcmp(graph->layers[i]->name, layer_name))
      return graph->layers[i];
  return NULL;
}

int graph_keras_order(Arena *arena, Layer *output, Layer ***sorted) {
  return order_layers(arena, NULL, output, sorted);
}
