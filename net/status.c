#include "net/status.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/err.h"
#include "core/rlp.h"

#define TOPIC_RLP_SIZE (1 + TOPIC_SIZE)

struct topic status_topic(const struct status *status, uint32_t index)
{
	struct topic topic;

	assert(index < status->topics_count);
	memcpy(topic.bytes,
	       status->topics + (size_t)index * status->topics_stride +
		       (status->topics_stride - TOPIC_SIZE),
	       TOPIC_SIZE);
	return topic;
}

int status_pow_from_bits(uint64_t bits, double *pow)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	if (!isfinite(value) || value < 0.0)
		return ERR_RANGE;
	*pow = value;
	return 0;
}

uint64_t status_pow_to_bits(double pow)
{
	uint64_t bits;

	memcpy(&bits, &pow, sizeof(bits));
	return bits;
}

static struct status defaults(double pow)
{
	struct status status = {.pow = pow};

	memset(status.bloom.bits, 0xff, BLOOM_SIZE);
	return status;
}

static int read_pow(struct rlp_reader *r, struct status *out)
{
	uint64_t bits = rlp_u64(r);

	if (r->err)
		return r->err;
	out->has |= STATUS_HAS_POW;
	return status_pow_from_bits(bits, &out->pow);
}

static int read_bloom(struct rlp_reader *r, struct status *out)
{
	size_t len;
	const uint8_t *bits = rlp_string(r, &len);

	if (r->err)
		return r->err;
	if (len != 0 && len != BLOOM_SIZE)
		return ERR_RANGE;
	if (len == 0)
		memset(out->bloom.bits, 0xff, BLOOM_SIZE);
	else
		memcpy(out->bloom.bits, bits, BLOOM_SIZE);
	out->has |= STATUS_HAS_BLOOM;
	return 0;
}

static int read_light(struct rlp_reader *r, struct status *out)
{
	out->is_light = rlp_bool(r);
	out->has |= STATUS_HAS_LIGHT;
	return r->err;
}

static int read_confirms(struct rlp_reader *r, struct status *out)
{
	out->confirms = rlp_bool(r);
	out->has |= STATUS_HAS_CONFIRMS;
	return r->err;
}

static int read_limits(struct rlp_reader *r, struct status_limits *out)
{
	struct rlp_reader list = rlp_list(r);

	out->ip = rlp_u64(&list);
	out->peer = rlp_u64(&list);
	out->topic = rlp_u64(&list);
	return r->err ? r->err : rlp_end(&list);
}

static int read_packets(struct rlp_reader *r, struct status *out)
{
	out->has |= STATUS_HAS_PACKETS;
	return read_limits(r, &out->packets);
}

static int read_bytes(struct rlp_reader *r, struct status *out)
{
	out->has |= STATUS_HAS_BYTES;
	return read_limits(r, &out->bytes);
}

/* Canonical topics are five bytes each, so the list is an array as it is. */
static int read_topics(struct rlp_reader *r, struct status *out)
{
	struct rlp_reader list = rlp_list(r);
	size_t size = r->err ? 0 : (size_t)(list.end - list.pos);
	uint8_t topic[TOPIC_SIZE];

	out->has |= STATUS_HAS_TOPICS;
	out->topics = list.pos;
	out->topics_stride = TOPIC_RLP_SIZE;
	out->topics_count = 0;
	if (size / TOPIC_RLP_SIZE > STATUS_TOPICS_MAX)
		return ERR_RANGE;
	while (rlp_more(&list))
		rlp_bytes(&list, topic, TOPIC_SIZE);
	if (r->err)
		return r->err;
	out->topics_count = (uint32_t)(size / TOPIC_RLP_SIZE);
	return rlp_end(&list);
}

int status_decode_shh(const uint8_t *in, size_t len, struct status *out)
{
	/* clang-format off */
	static int (*const elements[])(struct rlp_reader *, struct status *) = {
		read_pow, read_bloom, read_light, read_confirms, read_packets};
	/* clang-format on */
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);
	uint64_t version = rlp_u64(&list);

	*out = defaults(0.0);
	if (r.err || list.err)
		return r.err ? r.err : list.err;
	if (version != STATUS_SHH_VERSION)
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < 5 && rlp_more(&list); i++) {
		int err = elements[i](&list, out);

		if (err)
			return err;
	}
	while (rlp_more(&list)) /* further elements: ignored (§2.1) */
		rlp_skip(&list);
	return list.err ? list.err : rlp_end(&r);
}

static int read_option(struct rlp_reader *pair, struct status *out)
{
	switch (rlp_u64(pair)) {
	case 0:
		return read_pow(pair, out);
	case 1:
		return read_bloom(pair, out);
	case 2:
		return read_light(pair, out);
	case 3:
		return read_confirms(pair, out);
	case 4:
		return read_packets(pair, out);
	case 5:
		return read_topics(pair, out);
	case 6:
		return read_bytes(pair, out);
	default:
		rlp_skip(pair);
		return pair->err;
	}
}

static int read_options(const uint8_t *in, size_t len, struct status *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader list = rlp_list(&r);

	while (rlp_more(&list)) {
		struct rlp_reader pair = rlp_list(&list);
		int err;

		if (list.err)
			return list.err;
		if (!rlp_more(&pair))
			return ERR_SYNTAX;
		err = read_option(&pair, out);
		if (!err)
			err = rlp_end(&pair);
		if (err)
			return err;
	}
	return list.err ? list.err : rlp_end(&r);
}

int status_decode_waku(const uint8_t *in, size_t len, struct status *out)
{
	*out = defaults(STATUS_POW_DEFAULT);
	return read_options(in, len, out);
}

int status_decode_update(const uint8_t *in, size_t len, struct status *out)
{
	*out = defaults(STATUS_POW_DEFAULT);
	return read_options(in, len, out);
}

int status_decode_pow(const uint8_t *in, size_t len, struct status *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	int err;

	*out = defaults(0.0);
	err = read_pow(&r, out);
	return err ? err : rlp_end(&r);
}

int status_decode_bloom(const uint8_t *in, size_t len, struct status *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	int err;

	*out = defaults(0.0);
	err = read_bloom(&r, out);
	return err ? err : rlp_end(&r);
}

int status_decode_limits(const uint8_t *in, size_t len, struct status *out)
{
	struct rlp_reader r = rlp_reader(in, len);
	int err;

	*out = defaults(0.0);
	err = read_packets(&r, out);
	return err ? err : rlp_end(&r);
}

static void put_limits(struct rlp_writer *w, const struct status_limits *limits)
{
	rlp_put_list(w);
	rlp_put_u64(w, limits->ip);
	rlp_put_u64(w, limits->peer);
	rlp_put_u64(w, limits->topic);
	rlp_put_list_end(w);
}

static void put_topics(struct rlp_writer *w, const struct status *status)
{
	rlp_put_list(w);
	for (uint32_t i = 0; i < status->topics_count; i++) {
		struct topic topic = status_topic(status, i);

		rlp_put_string(w, topic.bytes, TOPIC_SIZE);
	}
	rlp_put_list_end(w);
}

static size_t finish(const struct rlp_writer *w)
{
	size_t len;

	return rlp_put_end(w, &len) ? 0 : len;
}

size_t status_encode_shh(const struct status *status, uint8_t *out, size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	rlp_put_u64(&w, STATUS_SHH_VERSION);
	rlp_put_u64(&w, status_pow_to_bits(status->pow));
	rlp_put_string(&w, status->bloom.bits, BLOOM_SIZE);
	rlp_put_bool(&w, status->is_light);
	rlp_put_bool(&w, status->confirms);
	put_limits(&w, &status->packets);
	rlp_put_list_end(&w);
	return finish(&w);
}

static void put_option(struct rlp_writer *w, const struct status *status,
		       unsigned key)
{
	switch (1u << key) {
	case STATUS_HAS_POW:
		rlp_put_u64(w, status_pow_to_bits(status->pow));
		break;
	case STATUS_HAS_BLOOM:
		rlp_put_string(w, status->bloom.bits, BLOOM_SIZE);
		break;
	case STATUS_HAS_LIGHT:
		rlp_put_bool(w, status->is_light);
		break;
	case STATUS_HAS_CONFIRMS:
		rlp_put_bool(w, status->confirms);
		break;
	case STATUS_HAS_PACKETS:
		put_limits(w, &status->packets);
		break;
	case STATUS_HAS_TOPICS:
		put_topics(w, status);
		break;
	default:
		put_limits(w, &status->bytes);
		break;
	}
}

size_t status_encode_waku(const struct status *status, uint8_t *out, size_t cap)
{
	struct rlp_writer w = rlp_writer(out, cap);

	rlp_put_list(&w);
	for (unsigned key = 0; key <= 6; key++) {
		if (!(status->has & (1u << key)))
			continue;
		rlp_put_list(&w);
		rlp_put_u64(&w, key);
		put_option(&w, status, key);
		rlp_put_list_end(&w);
	}
	rlp_put_list_end(&w);
	return finish(&w);
}
