#ifndef STORAGE_QUERY_H
#define STORAGE_QUERY_H
/*
 * One step of a query over the shards' slices.
 *
 * Spans of time are gone through one after the other, newest or oldest first;
 * within a span the runs of all shards concerned are merged by key. A run
 * comes in as the lists of the wanted topics, or as a walk through its
 * entries with a filter, whichever is estimated to be cheaper.
 *
 * Thread: any, inside readers_enter().
 */
#include "storage/shard.h"

void query_step(struct shard *shards, unsigned shards_count,
		struct reader *reader, struct archive_step *step);
void query_work_free(struct query_work *work);

#endif
