// Tells what is on PPM pictures: classify FOLDER PICTURE.ppm ...
// (any other picture becomes one by `convert photo.jpg -auto-orient photo.ppm`).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "model.h"
#include "picture.h"

static std::vector<double> Probabilities(const std::vector<float>& scores) {
  std::vector<double> shares(scores.begin(), scores.end());
  if (kGivesProbabilities) return shares;
  const double most = *std::max_element(shares.begin(), shares.end());
  double total = 0;
  for (double& share : shares) total += share = std::exp(share - most);
  for (double& share : shares) share /= total;
  return shares;
}

static std::string Label(const std::vector<std::string>& labels, size_t index) {
  return index < labels.size() ? labels[index] : "class " + std::to_string(index);
}

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: classify FOLDER PICTURE.ppm ...\n");
    return 2;
  }
  const std::string folder = arguments[1];
  int failed = 0;
  try {
    std::vector<std::string> labels;
    std::ifstream names(folder + "/labels.txt");
    for (std::string line; std::getline(names, line);) labels.push_back(line);
    Model model(folder + "/" + kModel);
    for (int at = 2; at < count; ++at) {
      try {
        const std::vector<double> shares =
            Probabilities(model.Run(Prepared(ReadPpm(arguments[at]))));
        std::vector<size_t> order(shares.size());
        std::iota(order.begin(), order.end(), size_t{0});
        const size_t shown = std::min<size_t>(5, order.size());
        std::partial_sort(
            order.begin(), order.begin() + shown, order.end(), [&](size_t one, size_t other) {
              return shares[one] > shares[other] || (shares[one] == shares[other] && one < other);
            });
        std::printf("%s:", arguments[at]);
        for (size_t rank = 0; rank < shown; ++rank) {
          const std::string label = Label(labels, order[rank]);
          std::printf("%s %s %.1f %%", rank ? "," : "", label.c_str(), 100 * shares[order[rank]]);
        }
        std::printf("\n");
      } catch (const std::exception& error) {
        std::fprintf(stderr, "classify: %s.\n", error.what());
        failed = 1;
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "classify: %s.\n", error.what());
    return 1;
  }
  return failed;
}
