#include "core/packet.h"

#include <criterion/criterion.h>
#include <string.h>

Test(packet, lives_until_the_last_reference_goes)
{
	struct packet *packet = packet_new(100);

	cr_assert(packet);
	cr_assert_eq(packet->size, 100);
	memset(packet->bytes, 7, 100);
	cr_assert_eq(packet_ref(packet), packet);
	packet_unref(packet);
	cr_assert_eq(packet->bytes[99], 7);
	packet_unref(packet);
	packet_unref(NULL);
}
