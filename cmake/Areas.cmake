# gigacat_area(NAME SOURCES a.cpp ... DEPS area-or-target ... [TORCH])
#   One static library per area, target gigacat_NAME. TORCH: the area includes LibTorch headers and gets the precompiled
#   header; without it no torch include folder is visible, so that spdlog's fmt and the wheel's never meet.
function(gigacat_area name)
  cmake_parse_arguments(AREA "TORCH" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(AREA_TORCH AND GIGACAT_SANITIZE)
    return()
  endif()
  add_library(gigacat_${name} STATIC ${AREA_SOURCES})
  target_include_directories(gigacat_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include" PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(gigacat_${name} PUBLIC ${AREA_DEPS} PRIVATE gigacat_flags ${AREA_PRIVATE_DEPS})
  set_property(GLOBAL APPEND PROPERTY GIGACAT_AREAS gigacat_${name})
  if(AREA_TORCH)
    target_link_libraries(gigacat_${name} PUBLIC LibTorch::cpu)
    gigacat_torch_pch(gigacat_${name})
  endif()
endfunction()

# The first torch target compiles the precompiled header; all others reuse it.
function(gigacat_torch_pch target)
  gigacat_shared_pch(${target} "${PROJECT_SOURCE_DIR}/src/torch_pch.h")
endfunction()

# The first target that asks for a header compiles it; all others reuse what that one made.
function(gigacat_shared_pch target header)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")  # CMake would compile it with -fPIE, for which the libraries' header does not serve
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  get_property(owner GLOBAL PROPERTY "GIGACAT_PCH_OWNER_${header}")
  if(NOT owner)
    target_precompile_headers(${target} PRIVATE "${header}")
    set_property(GLOBAL PROPERTY "GIGACAT_PCH_OWNER_${header}" ${target})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# gigacat_test(NAME SOURCES ... DEPS ... [TORCH]): the GoogleTest program NAME_tests; each test is one ctest entry.
function(gigacat_test name)
  cmake_parse_arguments(TEST "TORCH" "" "SOURCES;DEPS" ${ARGN})
  if(TEST_TORCH AND GIGACAT_SANITIZE)
    return()
  endif()
  add_executable(${name}_tests ${TEST_SOURCES})
  target_include_directories(${name}_tests PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name}_tests PRIVATE ${TEST_DEPS} gigacat_flags GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_tests PRIVATE
    GIGACAT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" GIGACAT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_compile_options(${name}_tests PRIVATE -O1)  # compiling takes longer than running
  if(TEST_TORCH)
    gigacat_shared_pch(${name}_tests "${PROJECT_SOURCE_DIR}/tests/torch_test_pch.h")
  else()
    gigacat_shared_pch(${name}_tests "${PROJECT_SOURCE_DIR}/tests/test_pch.h")
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name}_tests DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300)
endfunction()
