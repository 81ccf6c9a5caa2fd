#ifndef APP_CONFIG_H
#define APP_CONFIG_H
/*
 * The settings of the daemon: app/settings_table.h, read from the file, the
 * environment (RESTANTE_NET_RINGS for net.rings) and the flags.
 *
 *	static const struct usage usage = {
 *		.command = "serve", .summary = "...",
 *		.options = config_table, .add_layers = config_add_layers};
 *
 * Thread: main.
 */
#include "core/settings.h"

extern const struct setting config_table[];

/*
 * The file is `config`, or else what RESTANTE_CONFIG names, or else none.
 */
void config_add_layers(struct settings *s, const char *config);

#endif
