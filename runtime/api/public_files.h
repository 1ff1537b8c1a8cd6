/* Weights in files, where there is a file system. */
#ifndef NETC_API_PUBLIC_FILES_H
#define NETC_API_PUBLIC_FILES_H
#include "public.h"

/* The bytes of model_save_bytes as a file.  A file of that name is replaced when the new one is whole. */
ModelStatus model_save_file(Model *model, int half, const char *path);
ModelStatus model_load_file(Model *model, const char *path);
#endif
