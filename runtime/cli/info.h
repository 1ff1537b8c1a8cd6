/* EXE info: what the program is made of. */
#ifndef NETC_CLI_INFO_H
#define NETC_CLI_INFO_H
#include "setup.h"

/* Numbers in all weights (param_floats has gaps for alignment). */
static size_t info_parameters(const ModelInfo *info) {
  size_t count = 0;
  for (int w = 0; w < info->weight_count; w++)
    count += info->weights[w].count;
  return count;
}

static size_t info_layer_params(const ModelInfo *info, const ModelLayer *layer) {
  size_t count = 0;
  for (int w = 0; w < layer->weight_count; w++)
    count += info->weights[layer->first_weight + w].count;
  return count;
}

/* Floats that phase p trains. */
static size_t info_trained(const ModelInfo *info, int p) {
  size_t count = 0;
  for (int w = 0; w < info->weight_count; w++)
    count += info->weights[w].phases >> p & 1 ? info->weights[w].count : 0;
  return count;
}

static void info_print(const ModelInfo *info, int batch, int threads) {
  printf("%s (from %s, netc %s)\n", info->name, info->source, info->version);
  if (info->height)
    printf("input %dx%dx%d", info->height, info->width, info->channels);
  else
    printf("input of %zu numbers", info->input_floats);
  printf(", output of %zu, %zu parameters\n\n%-28s %-24s %s\n", info->output_floats, info_parameters(info),
         "layer", "class", "parameters");
  for (int i = 0; i < info->layer_count; i++) {
    const ModelLayer *layer = &info->layers[i];
    printf("%-28s %-24s %zu\n", layer->name, layer->keras_class, info_layer_params(info, layer));
  }
  putchar('\n');
  for (int p = 0; p < info->phase_count; p++) {
    const ModelPhase *phase = &info->phases[p];
    printf("phase %d%s%s%s: %s, %d epochs, %zu parameters trained\n", p + 1, phase->name ? " `" : "",
           phase->name ? phase->name : "", phase->name ? "`" : "", phase->recipe, phase->epochs,
           info_trained(info, p));
    if (phase->feature_floats)
      printf("  the frozen part is computed once per image: %zu numbers, %s for 1000 images\n",
             phase->feature_floats, console_bytes(4000.0 * (double)phase->feature_floats));
    if (phase->variants)
      printf("  of a training image %d times, each with a draw of its own\n", phase->variants);
  }
  for (int s = 0; s < info->source_count; s++)
    printf("weights of %s from %s%s\n", *info->sources[s].part ? info->sources[s].part : info->name,
           info->sources[s].path, info->sources[s].by_name ? ", by name" : "");
  printf("memory for batches of %d on %d threads: %s; instruction set: %s\n", batch, threads,
         console_bytes((double)model_bytes(batch, threads)), model_isa());
}

static void info_print_json(const ModelInfo *info, int batch, int threads) {
  fputs("{\"name\": ", stdout);
  console_json_text(stdout, info->name);
  fputs(", \"source\": ", stdout);
  console_json_text(stdout, info->source);
  fputs(", \"netc\": ", stdout);
  console_json_text(stdout, info->version);
  printf(", \"input\": [%d, %d, %d], \"outputs\": %zu, \"parameters\": %zu, \"batch\": %d, \"threads\": %d, "
         "\"memory_bytes\": %zu,\n \"layers\": [",
         info->height, info->width, info->channels, info->output_floats, info_parameters(info), batch,
         threads, model_bytes(batch, threads));
  for (int i = 0; i < info->layer_count; i++) {
    fputs(i ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
    console_json_text(stdout, info->layers[i].name);
    fputs(", \"class\": ", stdout);
    console_json_text(stdout, info->layers[i].keras_class);
    printf(", \"parameters\": %zu}", info_layer_params(info, &info->layers[i]));
  }
  fputs("],\n \"phases\": [", stdout);
  for (int p = 0; p < info->phase_count; p++) {
    const ModelPhase *phase = &info->phases[p];
    fputs(p ? ",\n  {\"name\": " : "\n  {\"name\": ", stdout);
    console_json_text(stdout, phase->name ? phase->name : "");
    fputs(", \"recipe\": ", stdout);
    console_json_text(stdout, phase->recipe);
    printf(", \"epochs\": %d, \"trained\": %zu, \"cached_floats\": %zu}", phase->epochs,
           info_trained(info, p), phase->feature_floats);
  }
  puts("]}");
}

static int info_main(const Options *options) {
  const ModelInfo *info = &model_info;
  int batch = setup_batch(options, info), threads = setup_threads(options);
  if (options->json)
    info_print_json(info, batch, threads);
  else
    info_print(info, batch, threads);
  return 0;
}
#endif
