// The model in ONNX Runtime's C++ API.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cmath>
#include <string>
#include <vector>

#include "settings.h"

class Model {
 public:
  explicit Model(const std::string& path) : session_(env_, path.c_str(), Options()) {
    Ort::AllocatorWithDefaultOptions allocator;
    input_ = session_.GetInputNameAllocated(0, allocator).get();
    output_ = session_.GetOutputNameAllocated(0, allocator).get();
    const auto told = session_.GetInputTypeInfo(0);
    shape_ = told.GetTensorTypeAndShapeInfo().GetShape();
    if (shape_[0] < 1) shape_[0] = 1;
    reads_pixels_ =
        told.GetTensorTypeAndShapeInfo().GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
  }

  // Scores of (kHeight, kWidth, kChannels) numbers.
  std::vector<float> Run(const std::vector<float>& image) {
    const size_t size = image.size() * shape_[0];
    const size_t plane = static_cast<size_t>(kHeight) * kWidth;
    std::vector<float> values;
    std::vector<uint8_t> pixels;
    // A model of a batch gets the same picture several times.
    for (size_t at = 0; at < size; ++at) {
      const size_t inside = at % image.size();
      if (reads_pixels_) {
        pixels.push_back(static_cast<uint8_t>(std::nearbyint(image[inside])));
      } else {
        values.push_back(image[inside % plane * kChannels + inside / plane]);
      }
    }
    const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const Ort::Value tensor = reads_pixels_ ? Tensor(memory, pixels) : Tensor(memory, values);
    const char* inputs[] = {input_.c_str()};
    const char* outputs[] = {output_.c_str()};
    auto made = session_.Run(Ort::RunOptions{nullptr}, inputs, &tensor, 1, outputs, 1);
    const size_t count = made[0].GetTensorTypeAndShapeInfo().GetElementCount() / shape_[0];
    const float* scores = made[0].GetTensorData<float>();
    return std::vector<float>(scores, scores + count);
  }

 private:
  template <typename Number>
  Ort::Value Tensor(const Ort::MemoryInfo& memory, std::vector<Number>& numbers) const {
    return Ort::Value::CreateTensor<Number>(memory, numbers.data(), numbers.size(), shape_.data(),
                                            shape_.size());
  }

  static Ort::SessionOptions Options() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    return options;
  }

  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR, "classify"};
  Ort::Session session_;
  std::string input_, output_;
  std::vector<int64_t> shape_;
  bool reads_pixels_ = false;
};
