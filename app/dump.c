#include "app/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/err.h"

/* ---- writing ---- */

static bool is_standard(const char *path)
{
	return !path || strcmp(path, "-") == 0;
}

/* A device, a pipe: written as it is; to be renamed over is for files. */
static bool is_no_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int dump_create(struct dump_writer *w, const char *path,
		enum dump_format format)
{
	memset(w, 0, sizeof(*w));
	w->format = format;
	if (is_standard(path)) {
		w->out = stdout;
		return 0;
	}
	if (is_no_file(path)) {
		w->out = fopen(path, "wb");
		return w->out ? 0 : ERR_IO;
	}
	w->path = strdup(path);
	if (!w->path || asprintf(&w->part, "%s.part", path) < 0) {
		free(w->path);
		w->path = NULL;
		return ERR_NOMEM;
	}
	w->out = fopen(w->part, "wb");
	if (w->out)
		return 0;
	free(w->path);
	free(w->part);
	w->path = w->part = NULL;
	return ERR_IO;
}

static int reserve_hex(struct dump_writer *w, size_t size)
{
	char *hex;

	if (size <= w->hex_max)
		return 0;
	hex = realloc(w->hex, size);
	if (!hex)
		return ERR_NOMEM;
	w->hex = hex;
	w->hex_max = size;
	return 0;
}

static int write_json(struct dump_writer *w, const struct envelope *env,
		      const uint8_t *hash)
{
	char hash_hex[2 * ENVELOPE_HASH_SIZE + 1];
	char topic_hex[2 * TOPIC_SIZE + 1];

	if (reserve_hex(w, 2 * (size_t)env->size + 1))
		return ERR_NOMEM;
	hex_encode(hash, ENVELOPE_HASH_SIZE, hash_hex);
	hex_encode(env->topic.bytes, TOPIC_SIZE, topic_hex);
	hex_encode(env->rlp, env->size, w->hex);
	if (fprintf(w->out,
		    "{\"hash\":\"%s\",\"sent\":%u,\"topic\":\"%s\",\"rlp\":\"%"
		    "s\"}\n",
		    hash_hex, envelope_sent(env), topic_hex, w->hex) < 0)
		return ERR_IO;
	return 0;
}

static int write_binary(struct dump_writer *w, const struct envelope *env)
{
	uint8_t size[4];

	be32_store(size, env->size);
	if (fwrite(size, 1, sizeof(size), w->out) != sizeof(size) ||
	    fwrite(env->rlp, 1, env->size, w->out) != env->size)
		return ERR_IO;
	return 0;
}

int dump_write(struct dump_writer *w, const struct envelope *env,
	       const uint8_t hash[static ENVELOPE_HASH_SIZE])
{
	int err = w->format == DUMP_JSON ? write_json(w, env, hash)
					 : write_binary(w, env);

	if (!err)
		w->count++;
	return err;
}

static int finish_file(struct dump_writer *w, bool is_complete, char *why)
{
	int err = 0;

	if (fflush(w->out) != 0 || fsync(fileno(w->out)) != 0)
		err = ERR_IO;
	if (fclose(w->out) != 0)
		err = ERR_IO;
	if (!err && is_complete && rename(w->part, w->path) != 0)
		err = ERR_IO;
	if (!is_complete && w->count == 0)
		(void)unlink(w->part);
	else if (err || !is_complete)
		(void)snprintf(why, DUMP_WHY_MAX,
			       "incomplete: %llu envelopes are in %s",
			       (unsigned long long)w->count, w->part);
	return err;
}

int dump_finish(struct dump_writer *w, bool is_complete, char *why)
{
	int err = 0;

	why[0] = '\0';
	if (w->path)
		err = finish_file(w, is_complete, why);
	else if (fflush(w->out) != 0)
		err = ERR_IO;
	if (!w->path && w->out != stdout && fclose(w->out) != 0)
		err = ERR_IO;
	free(w->path);
	free(w->part);
	free(w->hex);
	memset(w, 0, sizeof(*w));
	return err;
}

/* ---- one line of JSON ---- */

struct scan {
	const char *at;
	const char *end;
};

static void skip_blanks(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at))
		s->at++;
}

static bool take_char(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* A string; what is between the quotes, escapes left as they are. */
static bool take_string(struct scan *s, const char **text, size_t *len)
{
	if (!take_char(s, '"'))
		return false;
	*text = s->at;
	while (s->at < s->end && *s->at != '"') {
		if ((unsigned char)*s->at < 0x20)
			return false;
		s->at += *s->at == '\\' ? 2 : 1;
	}
	if (s->at >= s->end)
		return false;
	*len = (size_t)(s->at - *text);
	s->at++;
	return true;
}

/* A number, true, false, null. Nested values are not part of the format. */
static bool take_plain(struct scan *s)
{
	const char *start;

	skip_blanks(s);
	start = s->at;
	while (s->at < s->end &&
	       (strchr("+-.", *s->at) || (*s->at >= '0' && *s->at <= '9') ||
		(*s->at >= 'a' && *s->at <= 'z') ||
		(*s->at >= 'A' && *s->at <= 'Z')))
		s->at++;
	return s->at > start;
}

static bool is_key(const char *key, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(key, name, len) == 0;
}

static bool take_member(struct scan *s, struct dump_line *out)
{
	const char *key, *value;
	size_t key_len, value_len;

	if (!take_string(s, &key, &key_len) || !take_char(s, ':'))
		return false;
	if (!take_string(s, &value, &value_len))
		return take_plain(s);
	if (is_key(key, key_len, "rlp")) {
		out->rlp = value;
		out->rlp_size = value_len;
	} else if (is_key(key, key_len, "hash")) {
		out->hash = value;
		out->hash_size = value_len;
	}
	return true;
}

int dump_json_decode(const char *line, size_t len, struct dump_line *out)
{
	struct scan s = {line, line + len};

	memset(out, 0, sizeof(*out));
	if (memchr(line, '\0', len) || !take_char(&s, '{'))
		return ERR_SYNTAX;
	do {
		if (!take_member(&s, out))
			return ERR_SYNTAX;
	} while (take_char(&s, ','));
	if (!take_char(&s, '}'))
		return ERR_SYNTAX;
	skip_blanks(&s);
	return s.at == s.end ? 0 : ERR_SYNTAX;
}

/* ---- reading ---- */

static int say(struct dump_reader *r, int err, const char *what)
{
	(void)snprintf(r->why, sizeof(r->why), "%s: %s %llu: %s", r->path,
		       r->format == DUMP_JSON ? "line" : "record",
		       (unsigned long long)r->index, what);
	return err;
}

int dump_open(struct dump_reader *r, const char *path)
{
	memset(r, 0, sizeof(*r));
	r->path = is_standard(path) ? "standard input" : path;
	r->in = is_standard(path) ? stdin : fopen(path, "rb");
	if (r->in)
		return 0;
	(void)snprintf(r->why, sizeof(r->why), "%s: %s", path,
		       err_system(errno));
	return ERR_IO;
}

static int reserve_rlp(struct dump_reader *r, size_t size)
{
	uint8_t *rlp;

	if (size <= r->rlp_max)
		return 0;
	rlp = realloc(r->rlp, size);
	if (!rlp)
		return say(r, ERR_NOMEM, "out of memory");
	r->rlp = rlp;
	r->rlp_max = size;
	return 0;
}

static int read_line(struct dump_reader *r, size_t *len)
{
	ssize_t n;

	do {
		n = getline(&r->line, &r->line_max, r->in);
		if (n < 0)
			return ferror(r->in) ? say(r, ERR_IO, "cannot be read")
					     : 1;
		r->index++;
	} while (strspn(r->line, " \t\r\n") == (size_t)n);
	*len = (size_t)n;
	return 0;
}

static int read_json(struct dump_reader *r, size_t *size)
{
	struct dump_line line;
	size_t len = 0;
	int err = read_line(r, &len);

	if (err)
		return err;
	if (dump_json_decode(r->line, len, &line) || !line.rlp)
		return say(r, ERR_SYNTAX,
			   "not a JSON object with a member \"rlp\"");
	*size = line.rlp_size / 2;
	if (*size > DUMP_SIZE_MAX)
		return say(r, ERR_RANGE, "larger than an envelope may be");
	err = reserve_rlp(r, *size + 1);
	if (err)
		return err;
	if (line.rlp_size % 2 != 0 ||
	    hex_decode(line.rlp, line.rlp_size, r->rlp, *size))
		return say(r, ERR_SYNTAX, "\"rlp\" is not hexadecimal");
	r->has_hash = line.hash != NULL;
	if (line.hash &&
	    hex_decode(line.hash, line.hash_size, r->hash, sizeof(r->hash)))
		return say(r, ERR_SYNTAX, "\"hash\" is not 64 hex digits");
	return 0;
}

static int read_binary(struct dump_reader *r, size_t *size)
{
	uint8_t header[4];
	size_t n = fread(header, 1, sizeof(header), r->in);
	int err;

	if (n == 0)
		return ferror(r->in) ? say(r, ERR_IO, "cannot be read") : 1;
	r->index++;
	if (n < sizeof(header))
		return say(r, ERR_SYNTAX, "cut off");
	*size = be32_load(header);
	if (*size > DUMP_SIZE_MAX)
		return say(r, ERR_RANGE, "larger than an envelope may be");
	err = reserve_rlp(r, *size + 1);
	if (err)
		return err;
	if (fread(r->rlp, 1, *size, r->in) != *size)
		return say(r, ERR_SYNTAX, "cut off");
	return 0;
}

/* Binary begins with the high byte of a length, which is never a brace. */
static void see_format(struct dump_reader *r)
{
	int c = getc(r->in);

	if (c != EOF)
		(void)ungetc(c, r->in);
	r->format = c != EOF && (c == 0 || c == 1) ? DUMP_BINARY : DUMP_JSON;
	r->is_open = true;
}

int dump_read(struct dump_reader *r, const uint8_t **rlp, size_t *size)
{
	int err;

	if (!r->is_open)
		see_format(r);
	err = r->format == DUMP_JSON ? read_json(r, size)
				     : read_binary(r, size);
	*rlp = r->rlp;
	return err;
}

void dump_close(struct dump_reader *r)
{
	if (r->in && r->in != stdin)
		(void)fclose(r->in);
	free(r->line);
	free(r->rlp);
	memset(r, 0, sizeof(*r));
}
