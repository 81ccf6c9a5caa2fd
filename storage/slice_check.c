#include "storage/slice_check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

/* The format of LMDB 0.9 on 64 bits, as in mdb.c. */
#define META_MAGIC    0xbeefc0deu
#define META_VERSION  1u
#define PAGE_BRANCH   0x01u
#define PAGE_LEAF     0x02u
#define PAGE_OVERFLOW 0x04u
#define PAGE_META     0x08u
#define NODE_BIG      0x01u
#define DEPTH_MAX     32u
#define PAGE_SIZE_MIN 512u
#define PAGE_SIZE_MAX 65536u
#define ROOT_NONE     UINT64_MAX

struct page {
	uint64_t number;
	uint16_t pad;
	uint16_t flags;
	uint16_t lower; /* with upper: pages of an overflow page */
	uint16_t upper;
};
struct tree {
	uint32_t pad; /* of the first tree: the page size */
	uint16_t flags;
	uint16_t depth;
	uint64_t branch_pages, leaf_pages, overflow_pages;
	uint64_t entries;
	uint64_t root;
};
struct meta {
	uint32_t magic;
	uint32_t version;
	uint64_t address;
	uint64_t map_size;
	struct tree trees[2]; /* free pages, main */
	uint64_t last_page;
	uint64_t txn;
};
struct node {
	uint16_t low, high;
	uint16_t flags;
	uint16_t key_size;
};
_Static_assert(sizeof(struct page) == 16 && sizeof(struct tree) == 48 &&
		       sizeof(struct meta) == 136 && sizeof(struct node) == 8,
	       "as LMDB lays them out");

struct check {
	const uint8_t *map;
	size_t size;
	uint64_t pages; /* whole ones in the file */
	uint64_t visits_left;
	uint32_t page_size;
	uint64_t last_page;
	bool is_free_tree;
};

static const uint8_t *page_at(const struct check *c, uint64_t number,
			      struct page *out)
{
	const uint8_t *at;

	if (number < 2 || number >= c->pages || number > c->last_page)
		return NULL;
	at = c->map + number * c->page_size;
	memcpy(out, at, sizeof(*out));
	return out->number == number ? at : NULL;
}

/* A list of free pages: its length, then so many numbers. */
static int check_free_list(const struct check *c, const uint8_t *at,
			   size_t size)
{
	uint64_t count, number;

	if (size < 8)
		return ERR_CORRUPT;
	memcpy(&count, at, 8);
	if (count > size / 8 - 1)
		return ERR_CORRUPT;
	for (uint64_t i = 1; i <= count; i++) {
		memcpy(&number, at + i * 8, 8);
		if (number < 2 || number > c->last_page)
			return ERR_CORRUPT;
	}
	return 0;
}

static int check_big(const struct check *c, const uint8_t *data, size_t size)
{
	struct page page;
	const uint8_t *at;
	uint64_t number, pages;

	memcpy(&number, data, 8);
	at = page_at(c, number, &page);
	if (!at || !(page.flags & PAGE_OVERFLOW))
		return ERR_CORRUPT;
	pages = page.lower | (uint64_t)page.upper << 16;
	if (pages > c->pages - number ||
	    size > pages * c->page_size - sizeof(page))
		return ERR_CORRUPT;
	return c->is_free_tree ? check_free_list(c, at + sizeof(page), size)
			       : 0;
}

static int check_leaf_node(const struct check *c, const uint8_t *at,
			   size_t room)
{
	struct node node;
	const uint8_t *data;
	size_t size;

	memcpy(&node, at, sizeof(node));
	size = node.low | (size_t)node.high << 16;
	data = at + sizeof(node) + node.key_size;
	if (node.key_size > room - sizeof(node) || node.key_size == 0 ||
	    node.flags & ~NODE_BIG)
		return ERR_CORRUPT;
	room -= sizeof(node) + node.key_size;
	if (node.flags & NODE_BIG)
		return room < 8 ? ERR_CORRUPT : check_big(c, data, size);
	if (size > room)
		return ERR_CORRUPT;
	return c->is_free_tree ? check_free_list(c, data, size) : 0;
}

static int check_page(struct check *c, uint64_t number, unsigned depth);

static int check_branch_node(struct check *c, const uint8_t *at, size_t room,
			     unsigned depth)
{
	struct node node;

	memcpy(&node, at, sizeof(node));
	if (node.key_size > room - sizeof(node) || depth == 0)
		return ERR_CORRUPT;
	return check_page(c,
			  node.low | (uint64_t)node.high << 16 |
				  (uint64_t)node.flags << 32,
			  depth - 1);
}

/* NOLINTNEXTLINE(misc-no-recursion): the depth is bounded */
static int check_page(struct check *c, uint64_t number, unsigned depth)
{
	struct page page;
	const uint8_t *at = page_at(c, number, &page);
	bool is_branch;
	unsigned nodes;

	if (!at || c->visits_left-- == 0)
		return ERR_CORRUPT;
	is_branch = page.flags == PAGE_BRANCH;
	if ((!is_branch && page.flags != PAGE_LEAF) ||
	    is_branch == (depth == 0) || page.lower < sizeof(page) ||
	    page.lower > page.upper || page.upper > c->page_size ||
	    page.lower % 2)
		return ERR_CORRUPT;
	nodes = (page.lower - (unsigned)sizeof(page)) / 2;
	if (nodes < (is_branch ? 2u : 1u))
		return ERR_CORRUPT;
	for (unsigned i = 0; i < nodes; i++) {
		uint16_t offset;
		size_t room;
		int err;

		memcpy(&offset, at + sizeof(page) + i * 2, 2);
		if (offset < page.upper || offset % 2 ||
		    offset + sizeof(struct node) > c->page_size)
			return ERR_CORRUPT;
		room = c->page_size - offset;
		err = is_branch ? check_branch_node(c, at + offset, room, depth)
				: check_leaf_node(c, at + offset, room);
		if (err)
			return err;
	}
	return 0;
}

static int check_tree(struct check *c, const struct tree *tree, bool is_free)
{
	if (tree->root == ROOT_NONE)
		return 0;
	if (tree->depth == 0 || tree->depth > DEPTH_MAX)
		return ERR_CORRUPT;
	c->is_free_tree = is_free;
	return check_page(c, tree->root, tree->depth - 1u);
}

static int load_meta(const struct check *c, size_t at, struct meta *out)
{
	struct page page;

	if (at + sizeof(page) + sizeof(*out) > c->size)
		return ERR_CORRUPT;
	memcpy(&page, c->map + at, sizeof(page));
	memcpy(out, c->map + at + sizeof(page), sizeof(*out));
	if (!(page.flags & PAGE_META) || out->magic != META_MAGIC ||
	    out->version != META_VERSION)
		return ERR_CORRUPT;
	return 0;
}

static int check_map(struct check *c)
{
	struct meta metas[2];
	const struct meta *meta = &metas[0];

	if (load_meta(c, 0, &metas[0]))
		return ERR_CORRUPT;
	c->page_size = metas[0].trees[0].pad;
	if (c->page_size < PAGE_SIZE_MIN || c->page_size > PAGE_SIZE_MAX ||
	    (c->page_size & (c->page_size - 1)) ||
	    load_meta(c, c->page_size, &metas[1]) ||
	    metas[1].trees[0].pad != c->page_size)
		return ERR_CORRUPT;
	if (metas[1].txn > metas[0].txn)
		meta = &metas[1];
	c->pages = c->size / c->page_size;
	c->visits_left = c->pages;
	c->last_page = meta->last_page;
	if (check_tree(c, &meta->trees[0], true))
		return ERR_CORRUPT;
	return check_tree(c, &meta->trees[1], false);
}

int slice_check_file(const char *path)
{
	struct check c = {0};
	struct stat st;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = ERR_IO;

	if (fd < 0)
		return ERR_IO;
	if (fstat(fd, &st) != 0)
		goto out;
	err = ERR_CORRUPT;
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		goto out;
	c.size = (size_t)st.st_size;
	map = mmap(NULL, c.size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		err = ERR_IO;
		goto out;
	}
	c.map = map;
	err = check_map(&c);
	munmap(map, c.size);
out:
	close(fd);
	return err;
}
