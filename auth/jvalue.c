#include "auth/jvalue.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

json_t *jvalue_hex(const char *prefix, const uint8_t *in, size_t len)
{
	size_t skip = strlen(prefix);
	char *text = malloc(skip + 2 * len + 1);
	json_t *value;

	if (!text)
		return NULL;
	memcpy(text, prefix, skip);
	hex_encode(in, len, text + skip);
	value = json_string(text);
	free(text);
	return value;
}

json_t *jvalue_number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *jvalue_amount(const struct u256 *amount)
{
	char text[U256_DECIMAL_MAX + 1];

	(void)u256_to_decimal(amount, text);
	return json_string(text);
}

/* A missing value is out of memory, told when the text is made. */
void jvalue_put(json_t *object, const char *key, json_t *value, bool *is_bad)
{
	if (json_object_set_new(object, key, value) != 0)
		*is_bad = true;
}

char *jvalue_finish(json_t *root, bool is_bad)
{
	char *text = is_bad ? NULL : json_dumps(root, JSON_COMPACT);

	json_decref(root);
	return text;
}
