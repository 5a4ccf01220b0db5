set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header is keyed by its macros and times unless ccache is told otherwise; relative paths let a second
  # clone use what the first compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER env "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
    "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE}")
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
  execute_process(COMMAND ${MOLD} --version OUTPUT_VARIABLE MOLD_VERSION)
  string(REGEX REPLACE "^mold ([0-9.]+).*" "\\1" MOLD_VERSION "${MOLD_VERSION}")
  if(MOLD_VERSION VERSION_LESS 2.4)
    # Where .tbss ends a page, its RELRO segment begins before any mapping and the program does not start (rui314/mold#1151).
    add_link_options(-Wl,-z,norelro)
  endif()
endif()

add_library(gigacat_flags INTERFACE)
set(GIGACAT_WARNINGS -Wall -Wextra -Wshadow -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
  # GCC 12 to 14 see overflows in libstdc++'s own string code that are not there (GCC bugs 105329 and 105651).
  list(APPEND GIGACAT_WARNINGS -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(CMAKE_UNITY_BUILD)
  # Eight files of an area in one: GCC goes through all templates of LibTorch's headers once more for every file, which
  # takes longer than the file itself. Names in anonymous namespaces are then an area's, and a class defined in a source
  # file may have members of types from there.
  list(APPEND GIGACAT_WARNINGS -Wno-subobject-linkage)
endif()
if(GIGACAT_WERROR)
  list(APPEND GIGACAT_WARNINGS -Werror)
endif()
target_compile_options(gigacat_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${GIGACAT_WARNINGS};-fno-omit-frame-pointer>")
# Messages of LibTorch name the files of its headers, which lie below the checkout: without its path, which is another
# machine's where the program runs.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>")
if(GIGACAT_SANITIZE)
  add_compile_options(-fsanitize=${GIGACAT_SANITIZE} -g1)
  add_link_options(-fsanitize=${GIGACAT_SANITIZE})
endif()
