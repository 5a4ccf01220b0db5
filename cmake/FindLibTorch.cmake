# Imported targets for a LibTorch taken from the PyPI wheel or an official archive.
#
# The wheel's own TorchConfig.cmake stops where no CUDA toolkit is installed, so the targets are made here.
#   LibTorch::cpu    headers, libc10, libtorch_cpu
#   LibTorch::cuda   libc10_cuda, libtorch_cuda (only where the files exist; nothing but the CUDA module links it)
# Input: TORCH_ROOT (cache or environment), a folder that holds include/ and lib/ (or torch/include and torch/lib).

set(TORCH_ROOT "" CACHE PATH "LibTorch 2.11 or later: the torch folder of a wheel, or an official archive")
set(_given "${TORCH_ROOT}")
if(NOT _given)
  set(_given "$ENV{TORCH_ROOT}")
endif()
if(_given)
  set(_roots "${_given}" "${_given}/torch")
  unset(LibTorch_ROOT_DIR CACHE)  # what an earlier call found may be another one
else()
  set(_roots "${PROJECT_SOURCE_DIR}/.deps/libtorch/torch" "${GIGACAT_TORCH_HINT}")
endif()
find_path(LibTorch_ROOT_DIR NAMES lib/libtorch_cpu.so HINTS ${_roots} NO_DEFAULT_PATH)

set(LibTorch_VERSION "")
if(LibTorch_ROOT_DIR)
  if(EXISTS "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include/torch/version.h")
    file(STRINGS "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include/torch/version.h" _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    file(STRINGS "${LibTorch_ROOT_DIR}/include/torch/headeronly/version.h" _more REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" LibTorch_VERSION "${_lines};${_more}")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/bootstrap, or set TORCH_ROOT to a LibTorch 2.11 or later")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  set(_lib "${LibTorch_ROOT_DIR}/lib")
  set(_includes "${LibTorch_ROOT_DIR}/include" "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include")
  foreach(name c10 torch_cpu c10_cuda torch_cuda)
    if(EXISTS "${_lib}/lib${name}.so")
      add_library(LibTorch::${name} SHARED IMPORTED)
      set_target_properties(LibTorch::${name} PROPERTIES IMPORTED_LOCATION "${_lib}/lib${name}.so")
    endif()
  endforeach()
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_include_directories(LibTorch::cpu SYSTEM INTERFACE ${_includes})
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10)
  target_compile_definitions(LibTorch::cpu INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # at::parallel_for is a loop of one thread where OpenMP is off. The wheel brings its OpenMP library along: a second
    # one would have threads of its own.
    target_compile_options(LibTorch::cpu INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
    if(EXISTS "${_lib}/libgomp.so.1")
      target_link_libraries(LibTorch::cpu INTERFACE "${_lib}/libgomp.so.1")
    else()
      find_package(OpenMP REQUIRED COMPONENTS CXX)
      target_link_libraries(LibTorch::cpu INTERFACE OpenMP::OpenMP_CXX)
    endif()
  endif()
  # The wheel's libraries find their CUDA runtime stubs by RUNPATH at run time; the linker need not resolve them.
  target_link_options(LibTorch::cpu INTERFACE "LINKER:--allow-shlib-undefined" "LINKER:-rpath,${_lib}")
  if(TARGET LibTorch::torch_cuda)
    add_library(LibTorch::cuda INTERFACE IMPORTED)
    target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu LibTorch::torch_cuda LibTorch::c10_cuda)
  endif()
endif()
mark_as_advanced(LibTorch_ROOT_DIR)
