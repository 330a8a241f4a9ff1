#include "common/device_model.hpp"

namespace kvcache {

std::vector<DeviceInfo> list_devices() { return {}; }

DeviceInfo check_device() {
  fail(
      "no GPU can be used: this program was built without CUDA. Build it where nvcc is found (cmake "
      "-DKVCACHE_ENABLE_CUDA=ON), or leave --device out");
}
std::unique_ptr<DeviceModel> make_device_model(const Model<float>&, bool) {
  check_device();
  return nullptr;  // not reached
}

}  // namespace kvcache
