#include "graphviz.h"

static void shape_label(Shape shape, StrBuf *out) {
  for (int i = 0; i < shape.rank; i++)
    strbuf_printf(out, "%s%d", i ? "x" : "", shape.dim[i]);
}

void graphviz_network(const Graph *graph, StrBuf *out) {
  strbuf_printf(out, "digraph \"%s\" {\n  node [shape = box, fontname = \"sans-serif\", fontsize = 10];\n",
                graph->name);
  for (int i = 0; i < graph->layer_count; i++) {
    const Layer *layer = graph->layers[i];
    strbuf_printf(out, "  l%d [label = \"%s\\n%s ", layer->index, layer->name, layer->call.signature->name);
    shape_label(layer->shape, out);
    strbuf_printf(out, "\"%s];\n",
                  layer->weight_count && layer->frozen[0] ? ", style = filled, fillcolor = \"#dde8f5\"" : "");
    for (int k = 0; k < layer->input_count; k++)
      strbuf_printf(out, "  l%d -> l%d;\n", layer->inputs[k]->index, layer->index);
  }
  strbuf_puts(out, "}\n");
}

static void function_cluster(const Function *function, int index, StrBuf *out) {
  strbuf_printf(out, "  subgraph cluster_%d {\n    label = \"%s\";\n", index, function->name);
  int id = 0;
  for (Node *node = function->first; node; node = node->next)
    node->position = id++;
  for (const Node *node = function->first; node; node = node->next) {
    strbuf_printf(out, "    f%d_%d [label = \"%s", index, node->position, node->op->name);
    if (node->layer)
      strbuf_printf(out, "\\n%s", node->layer->name);
    if (node->out_count) {
      strbuf_puts(out, "\\n");
      shape_label(node->out[0]->shape, out);
    }
    strbuf_printf(out, "\"%s];\n", node->backward ? ", style = filled, fillcolor = \"#f5e6dd\"" : "");
    for (int i = 0; i < node->in_count; i++)
      if (node->in[i]->def)
        strbuf_printf(out, "    f%d_%d -> f%d_%d;\n", index, node->in[i]->def->position, index,
                      node->position);
  }
  strbuf_puts(out, "  }\n");
}

void graphviz_ir(const Module *module, StrBuf *out) {
  strbuf_printf(out, "digraph \"%s\" {\n  node [shape = box, fontname = \"sans-serif\", fontsize = 10];\n",
                module->graph->name);
  for (int f = 0; f < module->function_count; f++)
    function_cluster(module->functions[f], f, out);
  strbuf_puts(out, "}\n");
}
