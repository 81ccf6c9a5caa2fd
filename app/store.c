#include "app/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/envelope.h"
#include "core/err.h"
#include "storage/dir.h"

int store_path(const char *datadir, char out[static STORE_PATH_MAX])
{
	int n = snprintf(out, STORE_PATH_MAX, "%s/archive", datadir);

	return n < 0 || n >= STORE_PATH_MAX ? ERR_RANGE : 0;
}

static void tell(const char *from, const char *to)
{
	(void)fprintf(stderr, "%s: is damaged; moved to %s\n", from, to);
}

int store_open(const char *datadir, bool create, struct archive **out,
	       char *why)
{
	struct archive_config config;
	struct dir_made_with made;
	char path[STORE_PATH_MAX];
	int err;

	archive_config_default(&config);
	config.dir = path;
	config.is_sound = envelope_is_sound;
	config.set_aside = tell;
	/* What is old is not thrown away by looking at it. */
	config.retention_s = 0;
	config.retention_bytes = 0;
	if (store_path(datadir, path)) {
		(void)snprintf(why, STORE_WHY_MAX, "the path is too long");
		return ERR_RANGE;
	}
	err = dir_load(path, &made, why, STORE_WHY_MAX);
	if (err == ERR_NOTFOUND && !create) {
		(void)snprintf(why, STORE_WHY_MAX,
			       "%s: there is no archive; name the folder with "
			       "--datadir, as for `restante serve`",
			       datadir);
		return err;
	}
	if (err && err != ERR_NOTFOUND)
		return err;
	if (err == ERR_NOTFOUND) {
		if (mkdir(datadir, 0700) != 0 && errno != EEXIST) {
			(void)snprintf(why, STORE_WHY_MAX, "%s: %s", datadir,
				       err_system(errno));
			return ERR_IO;
		}
	} else {
		config.shards = made.shards;
		config.slice_span_s = made.slice_span_s;
	}
	return archive_open(&config, out, why, STORE_WHY_MAX);
}
