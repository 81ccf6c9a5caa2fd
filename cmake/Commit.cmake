# Run with -P at each build: writes OUT, which says what commit of SOURCE this
# is, and touches it only when that has changed. "unknown" outside of a checkout.
set(described "")
if(GIT)
	execute_process(COMMAND "${GIT}" describe --always --dirty --tags
		WORKING_DIRECTORY "${SOURCE}"
		OUTPUT_VARIABLE described ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT described)
	set(described "unknown")
endif()
file(CONFIGURE OUTPUT "${OUT}" CONTENT [[#ifndef APP_COMMIT_H
#define APP_COMMIT_H
/* The commit that was built; written by each build. Thread: any. */
#define VERSION_COMMIT "@described@"
#endif
]] @ONLY)
