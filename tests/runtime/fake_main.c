/* The whole program around the network of fake_model.h. */
#include "fake_model.h"
#include "../../runtime/cli/main.h"

int main(int argc, char **argv) {
  return model_main(argc, argv);
}
