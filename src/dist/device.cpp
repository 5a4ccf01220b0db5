#include "gigacat/dist/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::dist {
namespace {

namespace fs = std::filesystem;

// The NVIDIA driver, asked through its own library.
struct Driver {
  int gpus = 0;
  std::string problem;  // why there is no GPU, or ""
  int version = 0;      // highest CUDA that it serves: 13000 is 13.0
};

std::string driver_error(void* library, int code) {
  const auto name_of = reinterpret_cast<int (*)(int, const char**)>(::dlsym(library, "cuGetErrorName"));
  const char* name = nullptr;
  if (name_of == nullptr || name_of(code, &name) != 0 || name == nullptr) return cat("error ", code);
  return name;
}

Driver ask_driver() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const bool kernel = fs::exists("/proc/driver/nvidia/version");
    return {0, kernel ? "a GPU driver runs but its libcuda.so.1 is not found (in a container: start it with the GPUs)"
                      : "no NVIDIA driver (libcuda.so.1) on this machine"};
  }
  const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(library, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(::dlsym(library, "cuDeviceGetCount"));
  if (init == nullptr || count == nullptr) return {0, "libcuda.so.1 lacks cuInit or cuDeviceGetCount"};
  int gpus = 0;
  if (const int code = init(0)) return {0, cat("the NVIDIA driver does not start: ", driver_error(library, code))};
  if (const int code = count(&gpus)) return {0, cat("the NVIDIA driver counts no GPUs: ", driver_error(library, code))};
  if (gpus == 0) return {0, "the NVIDIA driver shows no GPU (see CUDA_VISIBLE_DEVICES)"};
  const auto version_of = reinterpret_cast<int (*)(int*)>(::dlsym(library, "cuDriverGetVersion"));
  int version = 0;
  if (version_of == nullptr || version_of(&version) != 0) version = 0;
  return {gpus, "", version};
}

const Driver& driver() {
  static const Driver answer = ask_driver();
  return answer;
}

// Folder of the program or library that holds `address`.
fs::path folder_of(const void* address) {
  Dl_info info{};
  if (::dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ignored;  // an unreadable path stays as it is and fails in dlopen with its reason
  const fs::path file = fs::weakly_canonical(info.dli_fname, ignored);
  return file.parent_path();
}

fs::path torch_cuda_library() {
  return folder_of(reinterpret_cast<const void*>(&at::globalContext)) / "libtorch_cuda.so";
}

// Beside this code (libgigacat.so, a build's bin or an installed bin) or in the lib folder next to it.
std::vector<fs::path> module_places() {
  std::vector<fs::path> places;
  std::error_code ignored;  // without /proc the folder of this code remains
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  for (const fs::path& folder : {folder_of(reinterpret_cast<const void*>(&load_cuda_module)), program.parent_path()}) {
    if (folder.empty()) continue;
    places.push_back(folder / "libgigacat_cuda.so");
    places.push_back(folder.parent_path() / "lib" / "libgigacat_cuda.so");
  }
  return places;
}

fs::path module_library() {
  const std::vector<fs::path> places = module_places();
  for (const fs::path& place : places)
    if (fs::exists(place)) return place;
  return {};
}

void* open_library(const fs::path& path) {
  void* library = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    fail("cannot load ", path.string(), ": ", reason ? reason : "no reason given");
  }
  return library;
}

void*& module_handle() {
  static void* handle = nullptr;
  return handle;
}

int parse_index(const std::string& name) {
  const std::string digits = name.substr(5);
  if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos)
    fail<UsageError>("device \"", name, "\": expected auto, cpu, cuda or cuda:INDEX");
  return std::stoi(digits);
}

// Launchers that bind each process to one GPU show that GPU alone, as number 0.
int gpu_of_rank(int local_rank, int gpus) {
  if (gpus == 1 && std::getenv("CUDA_VISIBLE_DEVICES") != nullptr) return 0;
  if (local_rank >= gpus)
    fail<UsageError>("device: process ", local_rank, " of this machine has no GPU of its own, ", gpus,
                     " visible: start at most ", gpus, " or use device cpu");
  return local_rank;
}

at::Device use_gpu(int index) {
  const int gpus = visible_gpus();
  if (index >= gpus) fail<UsageError>("device cuda:", index, ": the highest here is cuda:", gpus - 1);
  load_cuda_module();
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device);
  // float32 means float32, in convolutions too, until a config asks for tf32.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  return device;
}

}  // namespace

at::Tensor send(const at::Tensor& host, at::Device device) {
  return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host;
}

int visible_gpus() { return driver().gpus; }

std::string gpu_address(at::Device device) {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  const auto address_of =
      library ? reinterpret_cast<int (*)(char*, int, int)>(::dlsym(library, "cuDeviceGetPCIBusId")) : nullptr;
  char address[32] = "";
  return address_of != nullptr && address_of(address, sizeof address, device.index()) == 0 ? address : "";
}

std::string cuda_problem() {
  if (cuda_loaded()) return "";
  if (!driver().problem.empty()) return driver().problem;
  if (!fs::exists(torch_cuda_library()))
    return cat("this LibTorch is a CPU build: ", torch_cuda_library().string(), " is not there");
  if (module_library().empty()) return "libgigacat_cuda.so is not built (configure with GIGACAT_CUDA=ON where nvcc is)";
  return "";
}

void load_cuda_module() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (cuda_loaded()) return;
  if (const std::string problem = cuda_problem(); !problem.empty()) fail("CUDA: ", problem);
  open_library(torch_cuda_library());
  void* library = open_library(module_library());
  // LibTorch keeps its first answer to "is there CUDA?" for good.
  if (!at::hasCUDA())
    fail("CUDA: LibTorch sees no GPU: the driver, for CUDA ", driver().version / 1000, ".",
         driver().version % 1000 / 10, ", is too old for it, or LibTorch was used before the device was chosen");
  module_handle() = library;
}

bool cuda_loaded() { return module_handle() != nullptr; }

void* cuda_symbol(const char* name) {
  if (!cuda_loaded()) {
    const std::string problem = cuda_problem();
    fail("CUDA is not in use", problem.empty() ? "" : ": ", problem);
  }
  void* symbol = ::dlsym(module_handle(), name);
  if (symbol == nullptr) fail("libgigacat_cuda.so has no ", name, ": build it from the same source as this program");
  return symbol;
}

at::Device choose_device(const std::string& name, int local_rank) {
  const bool any = name == "auto";
  if (name == "cpu") return at::kCPU;
  if (!any && name != "cuda" && name.rfind("cuda:", 0) != 0)
    fail<UsageError>("device \"", name, "\": expected auto, cpu, cuda or cuda:INDEX");
  const int wanted = any || name == "cuda" ? -1 : parse_index(name);
  if (any && visible_gpus() == 0) return at::kCPU;
  if (const std::string problem = cuda_problem(); !problem.empty()) {
    if (!any) fail<UsageError>("device ", name, ": ", problem);
    log::warn("there is a GPU, but training runs on the CPU: ", problem);
    return at::kCPU;
  }
  return use_gpu(wanted >= 0 ? wanted : gpu_of_rank(local_rank, visible_gpus()));
}

}  // namespace gigacat::dist
