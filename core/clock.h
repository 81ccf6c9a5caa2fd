#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H
/*
 * Time: the wall clock for what is stored and sent, the monotonic one for
 * how long something takes.
 *
 * Thread: any.
 */
#include <stdint.h>

uint32_t clock_wall_s(void); /* Unix seconds; the wire has 32 bits for them */
uint64_t clock_wall_ms(void);
uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);

#endif
