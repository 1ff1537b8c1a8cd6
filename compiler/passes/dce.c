/* Dead code: a node stays if it has an effect, or if a result or a node that stays uses one of its outputs.
 */
#include "passes.h"
#include <stdlib.h>

void pass_dce(Module *module) {
  for (int f = 0; f < module->function_count; f++) {
    Function *function = module->functions[f];
    bool *live = calloc((size_t)function->value_count + 1, sizeof *live);
    for (int i = 0; i < function->result_count; i++)
      live[function->results[i]->id] = true;
    for (Node *node = function->last, *before; node; node = before) {
      before = node->prev;
      bool keep = node->op->has_effect;
      for (int i = 0; i < node->out_count; i++)
        keep = keep || live[node->out[i]->id];
      if (!keep) {
        ir_remove(node);
        continue;
      }
      for (int i = 0; i < node->in_count; i++)
        live[node->in[i]->id] = true;
    }
    free(live);
  }
}
