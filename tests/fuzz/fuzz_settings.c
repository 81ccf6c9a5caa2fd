/* The text of a file of settings: all kinds, lists and records. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/settings.h"

static const struct setting table[] = {
	{"net.rings", NULL, SETTING_U64, "0", "0", "256", "threads", "rings"},
	{"net.listen", NULL, SETTING_TEXT, "x", "1", "20", NULL, "where"},
	{"net.io", NULL, SETTING_WORD, "auto", NULL, NULL, "auto|uring|epoll",
	 "engine"},
	{"net.peers[]", NULL, SETTING_TEXT, "", "1", "20", "enode", "peers"},
	{"net.on", NULL, SETTING_BOOL, "false", NULL, NULL, NULL, "switch"},
	{"mail.pow", NULL, SETTING_REAL, "0", "0", "10", NULL, "pow"},
	{"mail.size", NULL, SETTING_BYTES, "1M", "1", "4G", NULL, "size"},
	{"mail.age", NULL, SETTING_DURATION, "30d", "5ms", "100d", NULL, "age"},
	{"mail.password", NULL, SETTING_SECRET, "x", "1", "30", NULL, "pw"},
	{"chain.*.id", NULL, SETTING_U64, NULL, "1", NULL, NULL, "chain id"},
	{"chain.*.endpoints[].url", NULL, SETTING_TEXT, NULL, "1", "99", NULL,
	 "url"},
	{"option[].price", NULL, SETTING_TEXT, NULL, "1", "78", NULL, "price"},
	{"option[].label", NULL, SETTING_TEXT, "", "0", "9", NULL, "label"},
	{0},
};

/* Whatever came in, what can be asked for is within its bounds. */
static void look(const struct settings *s)
{
	char key[SETTINGS_KEY_MAX];

	assert(settings_u64(s, "net.rings") <= 256);
	assert(settings_word(s, "net.io") < 3);
	assert(settings_real(s, "mail.pow") <= 10);
	assert(settings_ms(s, "mail.age") >= 5);
	for (size_t i = 0; i < settings_count(s, "option") && i < 32; i++)
		(void)settings_text(s, "option[%zu].price", i);
	for (size_t i = 0; i < 8 && settings_key(s, "chain", i, key); i++)
		(void)settings_u64(s, "chain.%s.id", key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings *s = settings_new(table);
	static FILE *null;

	if (!null)
		null = fopen("/dev/null", "we");
	assert(s && null);
	settings_read_text(s, "f", (const char *)data, size);
	settings_check(s);
	for (size_t i = 0; i < settings_errors_count(s); i++)
		assert(*settings_error(s, i));
	look(s);
	settings_print(s, null);
	settings_free(s);
	return 0;
}
