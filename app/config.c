#include "app/config.h"

#include <stdlib.h>
#include <unistd.h>

#define SETTING(name, flag, kind, value, min, max, unit, help)                 \
	{name, flag, SETTING_##kind, value, min, max, unit, help},

const struct setting config_table[] = {
#include "app/settings_table.h"
	{0},
};

/* Variables that are ours and no settings: for the tests. */
static const char *const other_variables[] = {"RESTANTE_TEST_", "RESTANTE_KILL",
					      NULL};

void config_add_layers(struct settings *s, const char *config)
{
	if (!config)
		config = secure_getenv("RESTANTE_CONFIG");
	if (config && *config)
		settings_read_file(s, config);
	if (settings_is_given(s, "config"))
		settings_refuse(s, "config", "a file cannot name another");
	settings_read_env(s, "RESTANTE_", environ, other_variables);
}
