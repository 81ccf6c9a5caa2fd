/* The pace at which a ring tells its peers (net/gossip). */
#include <criterion/criterion.h>

#include "net/gossip.h"

Test(gossip, a_ring_rests_between_two_turns)
{
	cr_assert(!gossip_is_turn(0, 0, true));
	cr_assert(!gossip_is_turn(GOSSIP_TURN_US - 1, 0, true));
	cr_assert(gossip_is_turn(GOSSIP_TURN_US, 0, true));
	cr_assert(!gossip_is_turn(0, GOSSIP_PACED_MAX, true));
}

Test(gossip, others_go_first_but_not_for_ever)
{
	cr_assert(!gossip_is_turn(GOSSIP_TURN_US, 0, false));
	cr_assert(!gossip_is_turn(GOSSIP_PATIENCE_US - 1, 0, false));
	cr_assert(gossip_is_turn(GOSSIP_PATIENCE_US, 0, false));
	cr_assert(gossip_is_turn(GOSSIP_PATIENCE_US, GOSSIP_PACED_MAX, false));
}

Test(gossip, who_tells_so_much_does_not_rest)
{
	cr_assert(gossip_is_turn(0, GOSSIP_PACED_MAX + 1, true));
	cr_assert(!gossip_is_turn(0, GOSSIP_PACED_MAX + 1, false));
}

/* What fills a hundred sockets stays within what is told with rests. */
Test(gossip, a_hundred_peers_that_never_read_are_told_with_rests)
{
	const size_t socket_holds = 300000; /* on loopback, generously */

	cr_assert_leq(100 * socket_holds, GOSSIP_PACED_MAX);
	cr_assert_geq(GOSSIP_PATIENCE_US, GOSSIP_TURN_US);
}
