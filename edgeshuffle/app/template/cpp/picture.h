// A PPM picture to a network's input: the same numbers, to the bit, as picture.py makes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <stdexcept>
#include <string>
#include <vector>

#include "settings.h"

struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  // Rows of pixels of channels.
};

// A binary PPM or PGM file (P6, P5) of 8 bits, as red, green and blue.
inline Picture ReadPpm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be opened");
  const std::runtime_error wrong(path + " is no binary PPM or PGM file (P6, P5) of 8 bits");
  std::string kind;
  file >> std::setw(3) >> kind;
  long numbers[3];
  for (long& number : numbers) {
    while (file >> std::ws && file.peek() == '#') file.ignore(1 << 20, '\n');
    if (!(file >> number)) throw wrong;
  }
  const long width = numbers[0], height = numbers[1];
  if ((kind != "P6" && kind != "P5") || numbers[2] != 255) throw wrong;
  if (width < 1 || height < 1 || width > 65535 || height > 65535) throw wrong;
  file.get();
  const int stored = kind == "P6" ? 3 : 1;
  const size_t wanted = static_cast<size_t>(width) * height * stored;
  std::vector<uint8_t> raw;
  // Piece by piece: what a file says of its size costs no memory.
  while (raw.size() < wanted) {
    const size_t at = raw.size(), more = std::min<size_t>(wanted - at, 1 << 20);
    raw.resize(at + more);
    file.read(reinterpret_cast<char*>(&raw[at]), static_cast<std::streamsize>(more));
    if (static_cast<size_t>(file.gcount()) != more)
      throw std::runtime_error(path + " is cut off");
  }
  Picture picture{static_cast<int>(width), static_cast<int>(height), 3, {}};
  if (stored == 3) {
    picture.pixels = std::move(raw);
  } else {
    for (uint8_t grey : raw) picture.pixels.insert(picture.pixels.end(), 3, grey);
  }
  return picture;
}

// What the network reads, of red, green and blue.
inline Picture OfChannels(const Picture& rgb) {
  if (kChannels == 3) return rgb;
  Picture made{rgb.width, rgb.height, kChannels, {}};
  for (size_t at = 0; at < rgb.pixels.size(); at += 3) {
    const uint32_t red = rgb.pixels[at], green = rgb.pixels[at + 1], blue = rgb.pixels[at + 2];
    if (kChannels == 1) {
      made.pixels.push_back((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
    } else {
      for (uint32_t value : {red, green, blue, 255u}) made.pixels.push_back(value);
    }
  }
  return made;
}

// For each new pixel the first old one, and weights of 22 bits.
struct Taps {
  std::vector<int> first;
  std::vector<std::vector<int32_t>> weights;
};

inline Taps TapsOf(int before, int after, int start, int count) {
  const double scale = static_cast<double>(before) / after;
  const double reach = std::max(scale, 1.0);
  const int most = static_cast<int>(std::ceil(reach)) * 2 + 1;
  Taps taps;
  for (int at = start; at < start + count; ++at) {
    const double centre = (at + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - reach + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + reach + 0.5), before);
    std::vector<double> exact;
    double total = 0;
    for (int tap = 0; tap < most && first + tap < end; ++tap) {
      const double away = std::abs((tap + first - centre + 0.5) * (1.0 / reach));
      exact.push_back(std::max(1.0 - away, 0.0));
      total += exact.back();
    }
    std::vector<int32_t> whole;
    for (double weight : exact)
      whole.push_back(static_cast<int32_t>(0.5 + weight / total * (1 << 22)));
    taps.first.push_back(first);
    taps.weights.push_back(whole);
  }
  return taps;
}

// Bilinear over the area that a pixel covers, across and then down, 8 bits after each.
inline Picture Across(const Picture& picture, const Taps& taps) {
  Picture made{static_cast<int>(taps.first.size()), picture.height, picture.channels, {}};
  made.pixels.reserve(static_cast<size_t>(made.width) * made.height * made.channels);
  for (int row = 0; row < picture.height; ++row) {
    const uint8_t* line =
        &picture.pixels[static_cast<size_t>(row) * picture.width * picture.channels];
    for (int at = 0; at < made.width; ++at) {
      for (int channel = 0; channel < picture.channels; ++channel) {
        int32_t total = 1 << 21;
        for (size_t tap = 0; tap < taps.weights[at].size(); ++tap) {
          total +=
              taps.weights[at][tap] * line[(taps.first[at] + tap) * picture.channels + channel];
        }
        made.pixels.push_back(static_cast<uint8_t>(total >> 22));
      }
    }
  }
  return made;
}

inline Picture Turned(const Picture& picture) {
  Picture made{picture.height, picture.width, picture.channels, {}};
  made.pixels.resize(picture.pixels.size());
  for (int row = 0; row < picture.height; ++row) {
    for (int at = 0; at < picture.width; ++at) {
      for (int channel = 0; channel < picture.channels; ++channel) {
        made.pixels[(static_cast<size_t>(at) * picture.height + row) * picture.channels + channel] =
            picture.pixels[(static_cast<size_t>(row) * picture.width + at) * picture.channels +
                           channel];
      }
    }
  }
  return made;
}

// Half of an odd number of pixels goes to even, as Python rounds.
inline int Margin(int outer, int inner) {
  return static_cast<int>(std::nearbyint((outer - inner) / 2.0));
}

// The centre, (kHeight, kWidth), of the picture scaled as little as covers it and its margin.
inline Picture Cropped(const Picture& picture) {
  if (picture.width == kWidth && picture.height == kHeight) return picture;
  const int64_t least = std::min(kHeight, kWidth);
  int64_t height = static_cast<int64_t>(kResize) * kHeight / least;
  int64_t width = static_cast<int64_t>(kResize) * kWidth / least;
  if (picture.width * height <= picture.height * width) {
    height = static_cast<int64_t>(static_cast<double>(width * picture.height) / picture.width);
  } else {
    width = static_cast<int64_t>(static_cast<double>(height * picture.width) / picture.height);
  }
  const int left = Margin(static_cast<int>(width), kWidth),
            top = Margin(static_cast<int>(height), kHeight);
  const Picture across =
      Across(picture, TapsOf(picture.width, static_cast<int>(width), left, kWidth));
  return Turned(
      Across(Turned(across), TapsOf(picture.height, static_cast<int>(height), top, kHeight)));
}

// (kHeight, kWidth, kChannels) numbers for the network.
inline std::vector<float> Prepared(const Picture& rgb) {
  const Picture picture = Cropped(OfChannels(rgb));
  std::vector<float> values(picture.pixels.size());
  for (size_t at = 0; at < values.size(); ++at) {
    const size_t channel = at % kChannels;
    const size_t from = kBgr ? at - channel + (kChannels - 1 - channel) : at;
    values[at] =
        (static_cast<float>(picture.pixels[from]) / 255.0f - kMean[channel]) / kStd[channel];
  }
  return values;
}
