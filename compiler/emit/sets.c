/* What an emitted file needs to hold its kernels and layers for several instruction sets: the table of
 * functions of one set, the texts around what is compiled once per set, the choice, and the calls through it.
 */
#include "emit.h"
#include "prepare.h"
#include "sets.h"
#include <string.h>

static const struct {
  const char *name, *macro, *target; /* as --isa has it; isa.h's name; the compiler's words for it, or NULL */
} sets[] = {
    {"avx512", "ISA_AVX512", "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"},
    {"avx2", "ISA_AVX2", "avx2,fma"},
    {"neon", "ISA_NEON", NULL},
    {"portable", "ISA_PORTABLE", NULL},
};
enum { SET_COUNT = sizeof sets / sizeof *sets };

const char *set_macro(const char *name) {
  for (int i = 0; i < SET_COUNT; i++)
    if (!strcmp(sets[i].name, name))
      return sets[i].macro;
  return NULL;
}

static bool is_called(const Function *function) {
  return function->kind != FUNCTION_PREPARE;
}

/* The type after the name, from its `(` on. */
static const char *parameters(const Function *function) {
  return function->kind == FUNCTION_STEP ? "(Model *m, int n, const float *x, const float *target,\n"
                                           "                        const float *sample_weight, "
                                           "const float **y_pred)"
                                         : "(Model *m, int n, const float *x, float *out)";
}

void emit_set_type(const Module *module, StrBuf *out) {
  strbuf_puts(
      out, "\n/* The network's functions, compiled for one instruction set. */\ntypedef struct ModelCode {\n"
           "  int isa;\n");
  for (int f = 0; f < module->function_count; f++) {
    const Function *function = module->functions[f];
    if (is_called(function))
      strbuf_printf(out, "  %s (*%s)%s;\n", function->kind == FUNCTION_STEP ? "float" : "void",
                    function->name, parameters(function));
  }
  strbuf_puts(out, "  float (*loss)(Model *m, int n, const float *y_pred, const float *target,\n"
                   "                const float *sample_weight);\n"
                   "  float (*regularization)(Model *m);\n  void (*prepare)(Model *m);\n} ModelCode;\n"
                   "\n/* The widest set that the processor has; NULL: it lacks the only one. */\n"
                   "static const ModelCode *model_code_here(void);\n");
}

void emit_set_table(const Module *module, StrBuf *out) {
  strbuf_puts(out, "\nstatic void model_run_prepare(Model *m) {\n");
  if (!prepare_emit_refresh(module->forward, out))
    strbuf_puts(out, "  (void)m;\n");
  strbuf_puts(out, "}\n");
  strbuf_puts(out, "\nstatic const ModelCode model_code = {\n    VEC_ISA,\n");
  for (int f = 0; f < module->function_count; f++)
    if (is_called(module->functions[f]))
      strbuf_printf(out, "    model_run_%s,\n", module->functions[f]->name);
  strbuf_puts(out, "    model_run_loss,\n    model_run_regularization,\n    model_run_prepare,\n};\n");
}

void emit_set_calls(const Module *module, StrBuf *out) {
  strbuf_puts(out, "\nstatic const ModelCode *model_code_here(void) {\n#if ISA_SEVERAL\n"
                   "  return isa_here(ISA_AVX512) ? &model_code_avx512\n"
                   "         : isa_here(ISA_AVX2) ? &model_code_avx2\n"
                   "                              : &model_code_portable;\n"
                   "#else\n  return isa_here(model_code.isa) ? &model_code : NULL;\n#endif\n}\n"
                   "\nstatic const char *model_isa(void) {\n"
                   "  const ModelCode *code = model_code_here();\n"
                   "  return code ? isa_name(code->isa) : NULL;\n}\n");
  for (int f = 0; f < module->function_count; f++) {
    const Function *function = module->functions[f];
    if (!is_called(function))
      continue;
    bool step = function->kind == FUNCTION_STEP;
    strbuf_printf(out, "\nstatic %s model_%s%s {\n  %sm->code->%s(m, n, x, %s);\n}\n",
                  step ? "float" : "void", function->name, parameters(function), step ? "return " : "",
                  function->name, step ? "target, sample_weight, y_pred" : "out");
  }
  strbuf_puts(out,
              "\nstatic float model_loss(Model *m, int n, const float *y_pred, const float *target,\n"
              "                        const float *sample_weight) {\n"
              "  return m->code->loss(m, n, y_pred, target, sample_weight);\n}\n"
              "\nstatic float model_regularization(Model *m) {\n  return m->code->regularization(m);\n}\n"
              "\nstatic void model_prepare_now(Model *m) {\n  m->code->prepare(m);\n}\n");
}

static void add_inclusion(int set, StrBuf *out) {
  strbuf_printf(
      out,
      "#undef VEC_ISA\n#undef MODEL_SET\n#define VEC_ISA   %s\n#define MODEL_SET %s\n#include MODEL_FILE\n",
      sets[set].macro, sets[set].name);
}

static void add_pragmas(const char *clang, const char *gcc, bool targets, StrBuf *out) {
  strbuf_puts(out, "#if VEC_ISA >= ISA_AVX2 && VEC_ISA > ISA_FLAGS\n");
  if (!targets) {
    strbuf_printf(out, "#ifdef __clang__\n%s\n#else\n%s\n#endif\n#endif\n", clang, gcc);
    return;
  }
  for (int i = 0; i < 2; i++)
    strbuf_printf(out,
                  "#%s VEC_ISA == %s && defined(__clang__)\n"
                  "#pragma clang attribute push(__attribute__((target(\"%s\"))), apply_to = function)\n"
                  "#elif VEC_ISA == %s\n#pragma GCC push_options\n#pragma GCC target(\"%s\")\n",
                  i ? "elif" : "if", sets[i].macro, sets[i].target, sets[i].macro, sets[i].target);
  strbuf_puts(out, "#endif\n#endif\n");
}

void emit_set_around(const char *name, StrBuf *before, StrBuf *after) {
  strbuf_printf(
      before,
      "\n/* ---- kernels and layers ----\n *\n"
      " * Where ISA_SEVERAL holds, the text up to `the rest` is compiled once per instruction set: this\n"
      " * file includes itself. Under another name than %s.c it is compiled with\n"
      " * -DMODEL_FILE='\"name.c\"'. */\n"
      "#if ISA_SEVERAL\n"
      "#define MODEL_PASTE(name, set) name##_##set\n"
      "#define MODEL_JOIN(name, set)  MODEL_PASTE(name, set)\n"
      "#define MODEL_EACH(name)       MODEL_JOIN(name, MODEL_SET)\n"
      "#ifndef MODEL_FILE\n#define MODEL_FILE \"%s.c\"\n#endif\n"
      "#define MODEL_AGAIN\n",
      name, name);
  add_inclusion(0, before);
  add_inclusion(1, before);
  add_inclusion(3, before);
  strbuf_puts(before, "#undef MODEL_AGAIN\n#endif\n#endif\n\n#if defined(MODEL_AGAIN) || !ISA_SEVERAL\n");
  add_pragmas(NULL, NULL, true, before);
  add_pragmas("#pragma clang attribute pop", "#pragma GCC pop_options", false, after);
  strbuf_puts(after, "#endif\n\n/* ---- the rest ---- */\n\n#ifndef MODEL_AGAIN\n");
}
