/* `netc summary`: what the program will do and need, before anything runs. */
#ifndef NETC_SUMMARY_H
#define NETC_SUMMARY_H
#include "ir.h"

/* The table of layers, totals, what is cached and what each step runs, and the memory plan. */
void summary_print(const Module *module, int threads, StrBuf *out);
/* Bytes of an instance for a batch: weights, optimizer state, constants, arena, scratch. */
int64_t emit_bytes(const Module *module, int batch, int threads);
/* The same without the arena: weights, optimizer state, constants, scratch. */
int64_t emit_rest_bytes(const Module *module, int batch, int threads);
#endif
