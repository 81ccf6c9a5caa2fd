/*
 * What the payments environment stores, read back from any bytes: the first
 * says which record, and whether its checksum is made right before. What is
 * read is written again to the same bytes.
 */
#include <assert.h>
#include <string.h>

#include "auth/ledger_private.h"
#include "core/bytes.h"
#include "core/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 8192

static void make_right(uint8_t *in, size_t size, size_t crc_offset)
{
	if (size < crc_offset + 4)
		return;
	memset(in + crc_offset, 0, 4);
	be32_store(in + crc_offset, crc32c(0, in, size));
}

static void read_entitlement(const uint8_t *in, size_t size)
{
	uint8_t out[ENTITLEMENT_SIZE_MAX];
	struct entitlement ent;
	struct entitlement again;

	if (entitlement_decode(in, size, &ent))
		return;
	assert(ent.credits_count <= ENTITLEMENT_CREDITS_MAX);
	assert(entitlement_encode(&ent, out) == size);
	assert(entitlement_decode(out, size, &again) == 0);
	assert(again.expiry_s == ent.expiry_s);
}

static void read_entry(const uint8_t *in, size_t size)
{
	struct entitlement ent = {.next_seq = 1};
	struct plan_result result;
	struct entry entry;

	if (entry_decode(in, size, &entry))
		return;
	(void)fold_outcome(&entry);
	/* Anything stored folds or is refused; twice, so that credit is
	 * there. */
	(void)fold_apply(&ent, &entry, &result);
	(void)fold_apply(&ent, &entry, &result);
	assert(ent.credits_count <= 1);
}

static void read_claim(const uint8_t *in, size_t size)
{
	static uint8_t out[CLAIM_RECORD_MAX];
	struct claim_record rec;
	struct claim_record again;

	if (claim_record_decode(in, size, &rec))
		return;
	assert(rec.claim.proof + rec.claim.proof_size == in + size);
	assert(claim_record_encode(&rec, out) == size);
	assert(claim_record_decode(out, size, &again) == 0);
	assert(again.state == rec.state && again.rev == rec.rev);
}

static void read_event(const uint8_t *in, size_t size)
{
	uint8_t out[EVENT_SIZE_MAX];
	struct ledger_event event;

	if (event_decode(in, size, &event))
		return;
	assert(strnlen(event.text, sizeof(event.text)) < sizeof(event.text));
	(void)event_encode(&event, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[INPUT_MAX];
	struct payment payment;
	struct tally tally;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	memcpy(copy, data + 1, size - 1);
	size--;
	if (data[0] & 0x80)
		make_right(copy, size, (data[0] & 7) == 3 ? 8 : 4);
	switch (data[0] & 7) {
	case 0:
		read_entitlement(copy, size);
		break;
	case 1:
		read_entry(copy, size);
		break;
	case 2:
		read_claim(copy, size);
		break;
	case 3:
		read_event(copy, size);
		break;
	case 4:
		(void)payment_decode(copy, size, &payment);
		break;
	default:
		(void)tally_decode(copy, size, &tally);
		break;
	}
	return 0;
}
