#include "core/keccak.h"

#include "core/keccak_kernel.h"
#include "core/keccak_state.h"

static const uint8_t zero_block[KECCAK_RATE];

void keccak_single(uint64_t s[static 25], const uint8_t *in, size_t blocks)
{
#if defined(__x86_64__)
	if (keccak_has_avx512()) {
		keccak_single_avx512(s, in, blocks);
		return;
	}
	if (keccak_has_bmi()) {
		keccak_single_bmi(s, in, blocks);
		return;
	}
#endif
	keccak_single_plain(s, in, blocks);
}

void keccak_init(struct keccak *k)
{
	memset(k, 0, sizeof(*k));
}

void keccak_absorb(struct keccak *k, const void *in, size_t len)
{
	const uint8_t *at = in;

	if (k->pos > 0 && len >= KECCAK_RATE - k->pos) {
		size_t room = KECCAK_RATE - k->pos;

		keccak_xor(k, at, room);
		keccak_single(k->lanes, zero_block, 1);
		k->pos = 0;
		at += room;
		len -= room;
	}
	if (k->pos == 0 && len >= KECCAK_RATE) {
		keccak_single(k->lanes, at, len / KECCAK_RATE);
		at += len - len % KECCAK_RATE;
		len %= KECCAK_RATE;
	}
	keccak_xor(k, at, len);
}

void keccak_peek(const struct keccak *k, uint8_t out[static KECCAK_DIGEST])
{
	struct keccak end = *k;

	keccak_pad(&end);
	keccak_single(end.lanes, zero_block, 1);
	keccak_digest(&end, out);
}

void keccak256(const void *in, size_t len, uint8_t out[static KECCAK_DIGEST])
{
	struct keccak k;

	keccak_init(&k);
	keccak_absorb(&k, in, len);
	keccak_peek(&k, out);
}
