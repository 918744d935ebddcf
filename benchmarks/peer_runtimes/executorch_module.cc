// A model of ExecuTorch behind four C functions, for executorch_session.py. The wheel has the
// library and its headers, but no Python module that runs without torch.
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/extension/tensor/tensor_ptr_maker.h>

#include <cstdint>
#include <vector>

// The wheel has no header for this, but the library has the functions.
namespace executorch {
namespace extension {
namespace threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
}  // namespace threadpool
}  // namespace extension
}  // namespace executorch

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::extension::TensorPtr;

struct Session {
  Module module;
  std::vector<uint8_t> bytes;
  TensorPtr input;
  std::vector<executorch::runtime::EValue> outputs;
};

extern "C" {

Session* open_module(const char* path, uint32_t threads) {
  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (pool == nullptr || !pool->_unsafe_reset_threadpool(threads)) return nullptr;
  auto* session = new Session{Module(path), {}, nullptr, {}};
  if (session->module.load_forward() != executorch::runtime::Error::Ok) {
    delete session;
    return nullptr;
  }
  return session;
}

// `size` bytes of an image of this shape, of fp16 if `half`, else of fp32.
void stage(Session* session, const uint8_t* bytes, size_t size, const int32_t* shape, int rank,
           int half) {
  session->bytes.assign(bytes, bytes + size);
  session->input = executorch::extension::from_blob(
      session->bytes.data(), std::vector<int32_t>(shape, shape + rank),
      half ? ScalarType::Half : ScalarType::Float);
}

int invoke(Session* session) {
  auto result = session->module.forward(session->input);
  if (!result.ok()) return static_cast<int>(result.error());
  session->outputs = std::move(result.get());
  return 0;
}

// The first output, and its size in bytes.
const void* output(Session* session, size_t* size) {
  const auto tensor = session->outputs.at(0).toTensor();
  *size = tensor.nbytes();
  return tensor.const_data_ptr();
}

}  // extern "C"
