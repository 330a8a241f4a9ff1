# Headers, CMake package, the programs and the embedded models.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/kvcache)

install(DIRECTORY include/kvcache DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(TARGETS kvcache EXPORT kvcacheTargets)
install(EXPORT kvcacheTargets NAMESPACE kvcache:: DESTINATION ${package_dir})
if(TARGET kvcache_text)
  install(TARGETS kvcache_text EXPORT kvcacheTextTargets)
  install(EXPORT kvcacheTextTargets NAMESPACE kvcache:: DESTINATION ${package_dir})
endif()
if(TARGET kvcache_cuda)
  install(TARGETS kvcache_cuda EXPORT kvcacheCudaTargets)
  install(EXPORT kvcacheCudaTargets NAMESPACE kvcache:: DESTINATION ${package_dir})
endif()
if(TARGET kvcache_io)
  install(TARGETS kvcache_io EXPORT kvcacheIoTargets)
  install(EXPORT kvcacheIoTargets NAMESPACE kvcache:: DESTINATION ${package_dir})
endif()
configure_package_config_file(cmake/kvcacheConfig.cmake.in ${PROJECT_BINARY_DIR}/kvcacheConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kvcacheConfigVersion.cmake COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/kvcacheConfig.cmake ${PROJECT_BINARY_DIR}/kvcacheConfigVersion.cmake
              cmake/FindPCRE2.cmake cmake/FindXxHash.cmake
        DESTINATION ${package_dir})

if(TARGET kvcache_command)
  install(TARGETS kvcache_command DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kvcache/models
          FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors" PATTERN "README.md")
endif()
if(TARGET kvcache_visualizer)
  install(TARGETS kvcache_visualizer DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
