# The house flags, spoken once. Every target of ours links `house`.
add_library(house INTERFACE)
target_include_directories(house INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")
target_compile_definitions(house INTERFACE _GNU_SOURCE)
target_compile_options(house INTERFACE
	-std=c17 -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wcast-align -Wwrite-strings -Wformat=2
	-Wimplicit-fallthrough -Wconversion -Wno-sign-conversion -fno-common -fstack-protector-strong
	-fno-omit-frame-pointer)
target_link_options(house INTERFACE -Wl,-z,relro -Wl,-z,now)
set_property(TARGET house PROPERTY INTERFACE_POSITION_INDEPENDENT_CODE ON)
if(RESTANTE_WERROR)
	target_compile_options(house INTERFACE -Werror)
endif()
if(RESTANTE_SANITIZE)
	target_compile_options(house INTERFACE "-fsanitize=${RESTANTE_SANITIZE}" -fno-sanitize-recover=all)
	target_link_options(house INTERFACE "-fsanitize=${RESTANTE_SANITIZE}")
endif()
if(RESTANTE_FUZZ)
	# Coverage for libFuzzer in every library; its main() only in the fuzz targets.
	target_compile_options(house INTERFACE -fsanitize=fuzzer-no-link)
	target_link_options(house INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(RESTANTE_KILL_POINTS)
	target_compile_definitions(house INTERFACE RESTANTE_KILL_POINTS=1)
endif()

# house_library(NAME SOURCES...): one static archive a folder.
function(house_library name)
	add_library(${name} STATIC ${ARGN})
	target_link_libraries(${name} PUBLIC house)
endfunction()
