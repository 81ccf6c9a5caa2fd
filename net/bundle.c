#include "net/bundle.h"

#include "core/err.h"

int bundle_open(struct bundle *bundle, const uint8_t *in, size_t len,
		bool bare_ok)
{
	struct rlp_reader r = rlp_reader(in, len);
	struct rlp_reader whole = r;

	bundle->items = rlp_list(&r);
	if (r.err || bundle->items.err || rlp_end(&r))
		return ERR_SYNTAX;
	if (bare_ok && rlp_is_string(&bundle->items))
		bundle->items = whole;
	return 0;
}

int bundle_next(struct bundle *bundle, struct envelope *out)
{
	const uint8_t *item;
	size_t len;

	if (!rlp_more(&bundle->items))
		return bundle->items.err ? ERR_SYNTAX : 1;
	item = rlp_raw(&bundle->items, &len);
	if (!item || envelope_decode(item, len, out)) {
		bundle->items.err = ERR_SYNTAX;
		return ERR_SYNTAX;
	}
	return 0;
}
