#ifndef BENCH_LOADED_H
#define BENCH_LOADED_H
/*
 * Results read back from a file of JSON lines, as bench/result writes it.
 *
 * Thread: main.
 */
#include <stdbool.h>
#include <stddef.h>

#define LOADED_TEXT 128

struct loaded {
	char scenario[LOADED_TEXT];
	char work[LOADED_TEXT];
	char who[LOADED_TEXT];
	char metric[LOADED_TEXT];
	char unit[LOADED_TEXT];
	bool more_is_better;
	double median, min, max;
	unsigned rounds;
	char curve[LOADED_TEXT]; /* "": none */
	char axis[LOADED_TEXT];  /* what x is */
	double x;
};
/* Times of all rounds together, us. */
struct loaded_latency {
	char scenario[LOADED_TEXT];
	char work[LOADED_TEXT];
	char who[LOADED_TEXT];
	double count, p50, p90, p99, p999, max;
};
struct loaded_note {
	char scenario[LOADED_TEXT];
	char who[LOADED_TEXT];
	char text[512];
};
struct loaded_machine {
	char when[LOADED_TEXT], processor[LOADED_TEXT], kernel[LOADED_TEXT];
	char commit[LOADED_TEXT];
	double cores, memory_bytes, keccak_width;
};
struct loaded_file {
	struct loaded *results;
	size_t count;
	struct loaded_note *notes;
	size_t notes_count;
	struct loaded_latency *latencies;
	size_t latencies_count;
	struct loaded_machine machine; /* of the first line */
};

/* `path` is the file or its folder. Ends the program if it cannot be read. */
void loaded_read(struct loaded_file *file, const char *path);
void loaded_free(struct loaded_file *file);
/* NULL: not there. `who` NULL: the best server other than ours. */
const struct loaded *loaded_find(const struct loaded_file *file,
				 const char *scenario, const char *work,
				 const char *who, const char *metric);

#endif
