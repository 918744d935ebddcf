// The model in LiteRT's C API (TensorFlow Lite's c_api.h).
#pragma once

#if __has_include(<tensorflow/lite/c/c_api.h>)
#include <tensorflow/lite/c/c_api.h>
#else
#include <tflite/c/c_api.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "settings.h"

class Model {
 public:
  explicit Model(const std::string& path) : model_(TfLiteModelCreateFromFile(path.c_str())) {
    if (!model_) throw std::runtime_error(path + " cannot be loaded");
    TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsSetNumThreads(options, 1);
    interpreter_ = TfLiteInterpreterCreate(model_, options);
    TfLiteInterpreterOptionsDelete(options);
    if (!interpreter_ || TfLiteInterpreterAllocateTensors(interpreter_) != kTfLiteOk) {
      throw std::runtime_error(path + " cannot be run");
    }
  }
  ~Model() {
    TfLiteInterpreterDelete(interpreter_);
    TfLiteModelDelete(model_);
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Scores of (kHeight, kWidth, kChannels) numbers.
  std::vector<float> Run(const std::vector<float>& image) {
    TfLiteTensor* input = TfLiteInterpreterGetInputTensor(interpreter_, 0);
    const int batch = TfLiteTensorDim(input, 0);
    std::vector<float> values;
    // A model of a batch gets the same picture several times.
    for (int each = 0; each < batch; ++each)
      values.insert(values.end(), image.begin(), image.end());
    const std::vector<uint8_t> bytes = Encoded(values, input);
    if (TfLiteTensorCopyFromBuffer(input, bytes.data(), bytes.size()) != kTfLiteOk ||
        TfLiteInterpreterInvoke(interpreter_) != kTfLiteOk) {
      throw std::runtime_error("The model cannot be run");
    }
    std::vector<float> scores = Decoded(TfLiteInterpreterGetOutputTensor(interpreter_, 0));
    scores.resize(scores.size() / batch);
    return scores;
  }

 private:
  static std::vector<uint8_t> Encoded(const std::vector<float>& values,
                                      const TfLiteTensor* tensor) {
    const TfLiteType type = TfLiteTensorType(tensor);
    std::vector<uint8_t> bytes(TfLiteTensorByteSize(tensor));
    if (type == kTfLiteFloat32 && bytes.size() == values.size() * sizeof(float)) {
      std::memcpy(bytes.data(), values.data(), bytes.size());
      return bytes;
    }
    if ((type != kTfLiteInt8 && type != kTfLiteUInt8) || bytes.size() != values.size()) {
      throw std::runtime_error("The model reads something else than the picture");
    }
    TfLiteQuantizationParams grid = TfLiteTensorQuantizationParams(tensor);
    // A model that reads pixels takes them as they are.
    if (type == kTfLiteUInt8) grid = {1.0f, 0};
    const float low = type == kTfLiteInt8 ? -128.0f : 0.0f;
    for (size_t at = 0; at < values.size(); ++at) {
      const float step =
          std::nearbyint(values[at] / grid.scale) + static_cast<float>(grid.zero_point);
      bytes[at] = static_cast<uint8_t>(static_cast<int>(std::clamp(step, low, low + 255.0f)));
    }
    return bytes;
  }

  static std::vector<float> Decoded(const TfLiteTensor* tensor) {
    const TfLiteType type = TfLiteTensorType(tensor);
    const TfLiteQuantizationParams grid = TfLiteTensorQuantizationParams(tensor);
    std::vector<float> scores;
    if (type == kTfLiteFloat32) {
      scores.resize(TfLiteTensorByteSize(tensor) / sizeof(float));
      TfLiteTensorCopyToBuffer(tensor, scores.data(), TfLiteTensorByteSize(tensor));
      return scores;
    }
    if (type != kTfLiteInt8 && type != kTfLiteUInt8)
      throw std::runtime_error("The model gives no scores");
    std::vector<uint8_t> bytes(TfLiteTensorByteSize(tensor));
    TfLiteTensorCopyToBuffer(tensor, bytes.data(), bytes.size());
    for (uint8_t byte : bytes) {
      const int value = type == kTfLiteInt8 ? static_cast<int8_t>(byte) : byte;
      scores.push_back(static_cast<float>(value - grid.zero_point) * grid.scale);
    }
    return scores;
  }

  TfLiteModel* model_;
  TfLiteInterpreter* interpreter_ = nullptr;
};
