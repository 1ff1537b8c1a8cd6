/* Rates of the kernels on the layers of well-known networks.
 *
 *   bench_kernels [--cpu] [-t THREADS] [-b SECONDS] [-n IMAGES] [-k KERNEL] [SET...]
 *
 * Sets: vgg resnet naive mobilenet other (convolutions), depthwise, dense, streams.
 *
 * --cpu measures the processor time of one thread (with -t 1), for a machine that does other things as well.
 *
 * One line per layer and kernel: milliseconds of a call; GFLOP/s by the direct count of operations and
 * percent of the multiply-add rate measured meanwhile (so that Winograd may exceed 100); for what memory
 * bounds, GB/s of what must be read and written, and percent of the rate at which a plain loop reads memory
 * (more where values stay in a cache).  Where oneDNN is installed, its time for the same convolution as a
 * multiple of ours. */
#include "bench.h"

int bench_rows;
clockid_t bench_clock = CLOCK_MONOTONIC;

static void usage(void) {
  fprintf(stderr, "usage: bench_kernels [--cpu] [-t THREADS] [-b SECONDS] [-n IMAGES] [-k KERNEL] [SET...]\n"
                  "sets: vgg resnet naive mobilenet other depthwise dense streams\n");
  exit(2);
}

int main(int argc, char **argv) {
  static const char *const sets[] = {"vgg",   "resnet",    "naive", "mobilenet",
                                     "other", "depthwise", "dense", "streams"};
  BenchOptions options = {.threads = 2, .budget = 0.25};
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (strcmp(argv[i], "--cpu") == 0) {
      bench_clock = CLOCK_THREAD_CPUTIME_ID;
      continue;
    }
    if (strlen(argv[i]) != 2 || i + 1 == argc)
      usage();
    const char *value = argv[++i];
    switch (argv[i - 1][1]) {
    case 't':
      options.threads = atoi(value);
      break;
    case 'b':
      options.budget = atof(value);
      break;
    case 'n':
      options.images = atoi(value);
      break;
    case 'k':
      options.only = value;
      break;
    default:
      usage();
    }
  }
  options.sets = argc - i;
  options.set = argv + i;
  if (options.threads < 1 || options.images < 0)
    usage();
  for (int s = 0; s < options.sets; s++) {
    bool known = false;
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
      known = known || strcmp(options.set[s], sets[k]) == 0;
    if (!known)
      usage();
  }
  double peaks[9], reads[5];
  for (int k = 0; k < 9; k++)
    peaks[k] = bench_multiply_adds(options.threads);
  for (int k = 0; k < 5; k++)
    reads[k] = bench_reads(options.threads);
  printf("%d threads, vectors of %d floats, %.1f GFLOP/s of multiply-adds, %.1f GB/s read from memory\n"
         "%% are of such rates, measured in turn with the kernel; oneDNN: its time as a multiple of ours\n",
         options.threads, VEC_WIDTH, bench_median(peaks, 9) * 1e-9, bench_median(reads, 5) * 1e-9);
  bench_convolutions(&options);
  bench_depthwise(&options);
  bench_dense(&options);
  bench_streams(&options);
  if (!bench_rows) {
    fprintf(stderr, "bench_kernels: no kernel `%s` in these sets\n", options.only);
    return 2;
  }
  return 0;
}
