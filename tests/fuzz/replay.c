/*
 * Feeds every file of the folders and files named to one fuzz target, and then
 * some simple mutations of each, so that a bug once found stays found on every
 * compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)
#define MUTATIONS 64

static unsigned long inputs;

/* An exact-size copy each time, so that ASan sees a read past the end. */
static void feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	inputs++;
}

static void feed_mutations(uint8_t *data, size_t size)
{
	uint64_t seed = 0x9e3779b97f4a7c15u ^ size;

	for (unsigned i = 0; i < MUTATIONS && size > 0; i++) {
		size_t at;
		uint8_t old;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at = (size_t)(seed >> 33) % size;
		old = data[at];
		data[at] ^= (uint8_t)(1u << (seed >> 61));
		feed(data, size);
		data[at] = old;
		feed(data, at);
	}
}

static int replay_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	feed(data, size);
	feed_mutations(data, size);
	return 0;
}

static int replay(const char *path)
{
	struct stat st;
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	if (stat(path, &st)) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		char child[1024];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(child, sizeof(child), "%s/%s", path,
			       entry->d_name);
		err |= replay(child);
	}
	(void)closedir(dir);
	return err;
}

int main(int argc, char **argv)
{
	int err = 0;

	for (int i = 1; i < argc; i++)
		err |= replay(argv[i]);
	printf("%lu inputs replayed\n", inputs);
	return err || inputs == 0;
}
