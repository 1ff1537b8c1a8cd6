// The C file in a C++17 program: an owner that destroys the instance, exceptions instead of codes.
#include "digits.h"
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

void check(DigitsStatus status) {
  if (status != DIGITS_OK)
    throw std::runtime_error(digits_status_text(status));
}

struct Destroy {
  void operator()(Digits *model) const { digits_destroy(model); }
};

class Classifier {
public:
  explicit Classifier(int batch) {
    Digits *made = nullptr;
    check(digits_create(&made, nullptr, 0, batch, 1));
    model.reset(made);
    check(digits_initialize(made, 1));
  }
  std::vector<float> predict(const std::vector<std::uint8_t> &pixels) {
    int n = static_cast<int>(pixels.size() / DIGITS_INPUTS);
    std::vector<float> y(static_cast<std::size_t>(n) * DIGITS_OUTPUTS);
    check(digits_predict_pixels(model.get(), n, pixels.data(), y.data()));
    return y;
  }

private:
  std::unique_ptr<Digits, Destroy> model;
};

} // namespace

int main() {
  Classifier classifier(4);
  std::vector<float> y = classifier.predict(std::vector<std::uint8_t>(3 * DIGITS_INPUTS, 100));
  float sum = 0;
  for (float probability : y)
    sum += probability;
  std::printf("%zu probabilities, sum %.4f\n", y.size(), static_cast<double>(sum));
  return sum > 2.999f && sum < 3.001f ? 0 : 1;
}
