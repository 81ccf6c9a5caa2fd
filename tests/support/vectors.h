#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H
/*
 * The vector files of tests/vectors, and their hex fields. All of these abort
 * with the name of what is missing: a test without its data asserts nothing.
 *
 * Thread: any; memory belongs to the caller.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct hex {
	uint8_t *
		bytes; /* malloc'ed, at its exact size, so ASan sees overruns */
	size_t len;
};

/* Load tests/vectors/<name>, json_decref() it when done. */
json_t *vectors_load(const char *name);
/* obj[key]; `path` may go down with dots ("archive.queries"). */
json_t *vectors_get(json_t *obj, const char *path);
const char *vectors_text(json_t *obj, const char *path);
uint64_t vectors_u64(json_t *obj, const char *path);
/* A hex string, with or without 0x. hex_release() it. */
struct hex vectors_hex(json_t *obj, const char *path);
struct hex hex_from_text(const char *text);
void hex_release(struct hex *hex);

#endif
