# `cmake --install DIR --prefix P`: a prefix that can be moved, and that find_package(gigacat) finds.
#
#   bin/          gigacat
#   lib/          libgigacat.so, made of all areas; the CUDA module where it was built
#   include/      the public headers
#   share/gigacat/configs
#   lib/cmake/gigacat
# LibTorch is not copied: program and library look for it where it was at build time, then beside themselves in lib/.
if(GIGACAT_SANITIZE)
  return()
endif()
include(CMakePackageConfigHelpers)

get_property(_areas GLOBAL PROPERTY GIGACAT_AREAS)
list(JOIN _areas "," _list)
file(WRITE "${PROJECT_BINARY_DIR}/gigacat_shared.cpp" "// All of libgigacat.so comes from the areas' archives.\n")
add_library(gigacat_shared SHARED "${PROJECT_BINARY_DIR}/gigacat_shared.cpp")
add_library(gigacat::gigacat ALIAS gigacat_shared)
set_target_properties(gigacat_shared PROPERTIES
  OUTPUT_NAME gigacat EXPORT_NAME gigacat SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} VERSION ${PROJECT_VERSION}
  INSTALL_RPATH "$ORIGIN"
  LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${_list}") # the areas name each other too, without that feature
target_include_directories(gigacat_shared INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:include>")
target_compile_features(gigacat_shared INTERFACE cxx_std_20)
target_link_libraries(gigacat_shared
  PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${_list}>"
  PUBLIC LibTorch::cpu nlohmann_json::nlohmann_json Threads::Threads)

if(TARGET gigacat)
  set_target_properties(gigacat PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
  install(TARGETS gigacat RUNTIME DESTINATION bin)
endif()
if(TARGET gigacat_cuda)
  set_target_properties(gigacat_cuda PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS gigacat_cuda LIBRARY DESTINATION lib)
endif()
install(TARGETS gigacat_shared EXPORT gigacatTargets LIBRARY DESTINATION lib)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/gigacat" DESTINATION include)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/configs" DESTINATION share/gigacat)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION share/gigacat)
install(FILES /usr/share/doc/fonts-dejavu-core/copyright DESTINATION share/gigacat RENAME LICENSE.DejaVu OPTIONAL)

set(_package lib/cmake/gigacat)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/gigacatConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/gigacatConfig.cmake" INSTALL_DESTINATION ${_package})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/gigacatConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/gigacatConfig.cmake" "${PROJECT_BINARY_DIR}/gigacatConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake" DESTINATION ${_package})
install(EXPORT gigacatTargets NAMESPACE gigacat:: DESTINATION ${_package})
