#include "tests/support/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

static _Noreturn void missing(const char *what, const char *name)
{
	(void)fprintf(stderr, "test vectors: %s: %s\n", what, name);
	abort();
}

json_t *vectors_load(const char *name)
{
	char path[512];
	json_error_t error;
	json_t *root;

	(void)snprintf(path, sizeof(path), "%s/%s", TEST_VECTORS_DIR, name);
	root = json_load_file(path, 0, &error);
	if (!root)
		missing(error.text, path);
	return root;
}

json_t *vectors_get(json_t *obj, const char *path)
{
	char part[128];
	const char *at = path;

	while (obj && *at) {
		size_t len = strcspn(at, ".");

		if (len >= sizeof(part))
			missing("path too long", path);
		memcpy(part, at, len);
		part[len] = '\0';
		obj = json_object_get(obj, part);
		at += len + (at[len] == '.');
	}
	if (!obj)
		missing("no such field", path);
	return obj;
}

const char *vectors_text(json_t *obj, const char *path)
{
	const char *text = json_string_value(vectors_get(obj, path));

	if (!text)
		missing("not a string", path);
	return text;
}

uint64_t vectors_u64(json_t *obj, const char *path)
{
	json_t *value = vectors_get(obj, path);

	if (!json_is_integer(value))
		missing("not an integer", path);
	return (uint64_t)json_integer_value(value);
}

struct hex hex_from_text(const char *text)
{
	struct hex hex;
	size_t digits;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	digits = strlen(text);
	hex.len = digits / 2;
	hex.bytes = malloc(hex.len ? hex.len : 1);
	if (!hex.bytes || hex_decode(text, digits, hex.bytes, hex.len))
		missing("not hex", text);
	return hex;
}

struct hex vectors_hex(json_t *obj, const char *path)
{
	return hex_from_text(vectors_text(obj, path));
}

void hex_release(struct hex *hex)
{
	free(hex->bytes);
	hex->bytes = NULL;
	hex->len = 0;
}
