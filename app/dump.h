#ifndef APP_DUMP_H
#define APP_DUMP_H
/*
 * Envelopes in files: JSON lines {"hash","sent","topic","rlp"} for people and
 * scripts, or binary, each RLP behind its length in four bytes, big endian.
 * A file being written is called NAME.part until it is complete.
 *
 * Thread: one at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/envelope.h"

#define DUMP_SIZE_MAX (16u << 20) /* of one envelope read */
#define DUMP_WHY_MAX  320

enum dump_format { DUMP_JSON, DUMP_BINARY };

struct dump_writer {
	FILE *out;
	char *path; /* NULL: standard output, or no regular file */
	char *part; /* where it is written meanwhile */
	char *hex;
	size_t hex_max;
	enum dump_format format;
	uint64_t count;
};

/* "-" or NULL is standard output. 0, ERR_NOMEM, ERR_IO with errno. */
int dump_create(struct dump_writer *w, const char *path,
		enum dump_format format);
/* 0, ERR_NOMEM or ERR_IO. */
int dump_write(struct dump_writer *w, const struct envelope *env,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE]);
/*
 * Flush, and give a complete file its name. An incomplete one stays where it
 * was written and `why` says so (DUMP_WHY_MAX bytes, else ""), unless it is
 * empty: then it goes. Always releases. Returns 0 or ERR_IO.
 */
int dump_finish(struct dump_writer *w, bool is_complete, char *why);

struct dump_reader {
	FILE *in;
	const char *path;
	enum dump_format format; /* seen from the first byte */
	char *line;
	size_t line_max;
	uint8_t *rlp;
	size_t rlp_max;
	uint64_t index; /* of the record last read, from 1 */
	bool has_hash;  /* "hash" stood beside it */
	uint8_t hash[ENVELOPE_HASH_SIZE];
	bool is_open;
	char why[DUMP_WHY_MAX]; /* after an error */
};

/* "-" is standard input. 0 or ERR_IO (why is set). */
int dump_open(struct dump_reader *r, const char *path);
/*
 * The next envelope's bytes, which stay until the next call; whether they are
 * one is for the caller. Returns 0, > 0 (the end), ERR_SYNTAX, ERR_RANGE,
 * ERR_NOMEM or ERR_IO with `why` set. JSON lines need "rlp" alone.
 */
int dump_read(struct dump_reader *r, const uint8_t **rlp, size_t *size);
void dump_close(struct dump_reader *r);

/* The text values of a JSON object on one line, borrowed; NULL: not there. */
struct dump_line {
	const char *rlp;
	size_t rlp_size;
	const char *hash;
	size_t hash_size;
};
/* Other members are passed over. 0 or ERR_SYNTAX. For tests. */
int dump_json_decode(const char *line, size_t len, struct dump_line *out);

#endif
