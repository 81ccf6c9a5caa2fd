#include "storage/slice_check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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
#define FREE_FLAGS    0x4008u /* integer keys, and as we open: no directory */
#define TXN_MAX       (UINT64_MAX / 2)
/* Pages that were taken and freed in one commit need not be in the file. */
#define PAGES_UNWRITTEN_MAX (1u << 20)

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
	uint32_t page_size;
	uint64_t last_page;
	bool is_free_tree;
	uint64_t txn;       /* the last one */
	uint64_t free_last; /* key of the last list of free pages */
	uint8_t *used;      /* a bit a page */
	uint32_t *nodes;    /* of the page in hand: offset << 16 | size */
};

/* Every page has one use: a tree's, a value's, or it is free. */
static int use_pages(struct check *c, uint64_t number, uint64_t count)
{
	for (; count > 0; count--, number++) {
		uint8_t bit = (uint8_t)(1u << number % 8);

		if (number < 2 || number > c->last_page ||
		    c->used[number / 8] & bit)
			return ERR_CORRUPT;
		c->used[number / 8] |= bit;
	}
	return 0;
}

static const uint8_t *page_at(const struct check *c, uint64_t number,
			      struct page *out)
{
	const uint8_t *at;

	if (number < 2 || number >= c->pages || number > c->last_page)
		return NULL;
	at = c->map + (size_t)number * c->page_size;
	memcpy(out, at, sizeof(*out));
	return out->number == number ? at : NULL;
}

/* A list of free pages: its length, then so many numbers, descending. */
static int check_free_list(struct check *c, const uint8_t *at, size_t size)
{
	uint64_t count, number, last = UINT64_MAX;

	if (size < 8)
		return ERR_CORRUPT;
	memcpy(&count, at, 8);
	if (count > size / 8 - 1)
		return ERR_CORRUPT;
	for (uint64_t i = 1; i <= count; i++) {
		memcpy(&number, at + i * 8, 8);
		if (number >= last || use_pages(c, number, 1))
			return ERR_CORRUPT;
		last = number;
	}
	return 0;
}

static int check_big(struct check *c, const uint8_t *data, size_t size)
{
	struct page page;
	const uint8_t *at;
	uint64_t number, pages;

	memcpy(&number, data, 8);
	at = page_at(c, number, &page);
	if (!at || page.flags != PAGE_OVERFLOW)
		return ERR_CORRUPT;
	pages = page.lower | (uint64_t)page.upper << 16;
	if (pages == 0 || pages > c->pages - number ||
	    size > pages * c->page_size - sizeof(page) ||
	    use_pages(c, number, pages))
		return ERR_CORRUPT;
	return c->is_free_tree ? check_free_list(c, at + sizeof(page), size)
			       : 0;
}

/* The size of a node within its page; 0 if it does not fit there. */
static size_t node_size(const uint8_t *at, size_t room, bool is_branch)
{
	struct node node;
	size_t size;

	memcpy(&node, at, sizeof(node));
	size = sizeof(node) + node.key_size;
	if (!is_branch && node.flags & NODE_BIG)
		size += 8;
	else if (!is_branch)
		size += node.low | (size_t)node.high << 16;
	size += size % 2;
	return size <= room ? size : 0;
}

/* Lists of free pages are named by the transaction that freed them. */
static int check_free_key(struct check *c, const uint8_t *key, size_t size)
{
	uint64_t txn;

	if (size != sizeof(txn))
		return ERR_CORRUPT;
	memcpy(&txn, key, sizeof(txn));
	if (txn <= c->free_last || txn > c->txn)
		return ERR_CORRUPT;
	c->free_last = txn;
	return 0;
}

static int check_leaf_node(struct check *c, const uint8_t *at)
{
	struct node node;
	const uint8_t *data;
	size_t size;

	memcpy(&node, at, sizeof(node));
	size = node.low | (size_t)node.high << 16;
	data = at + sizeof(node) + node.key_size;
	if (node.key_size == 0 || node.flags & ~NODE_BIG ||
	    (c->is_free_tree &&
	     check_free_key(c, at + sizeof(node), node.key_size)))
		return ERR_CORRUPT;
	if (node.flags & NODE_BIG)
		return check_big(c, data, size);
	return c->is_free_tree ? check_free_list(c, data, size) : 0;
}

static int check_page(struct check *c, uint64_t number, unsigned depth);

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Nodes lie one behind the other from `upper` to the end of the page. */
static int check_packing(struct check *c, const uint8_t *at,
			 const struct page *page, unsigned count,
			 bool is_branch)
{
	uint32_t end = page->upper;

	for (unsigned i = 0; i < count; i++) {
		uint16_t offset;
		size_t size;

		memcpy(&offset, at + sizeof(*page) + (size_t)i * 2, 2);
		if (offset < page->upper || offset % 2 ||
		    offset + sizeof(struct node) > c->page_size)
			return ERR_CORRUPT;
		size = node_size(at + offset, c->page_size - offset, is_branch);
		if (size == 0 || size > UINT16_MAX)
			return ERR_CORRUPT;
		c->nodes[i] = (uint32_t)offset << 16 | (uint32_t)size;
	}
	qsort(c->nodes, count, sizeof(*c->nodes), compare_u32);
	for (unsigned i = 0; i < count; i++) {
		if (c->nodes[i] >> 16 != end)
			return ERR_CORRUPT;
		end += c->nodes[i] & UINT16_MAX;
	}
	return end == c->page_size ? 0 : ERR_CORRUPT;
}

static int check_node(struct check *c, const uint8_t *at, unsigned depth)
{
	struct node node;

	if (depth == 0)
		return check_leaf_node(c, at);
	memcpy(&node, at, sizeof(node));
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
	bool is_branch = depth > 0;
	unsigned count;
	int err = 0;

	if (!at || use_pages(c, number, 1) ||
	    page.flags != (is_branch ? PAGE_BRANCH : PAGE_LEAF) ||
	    page.lower < sizeof(page) || page.lower > page.upper ||
	    page.upper > c->page_size || page.lower % 2)
		return ERR_CORRUPT;
	count = (page.lower - (unsigned)sizeof(page)) / 2;
	if (count < (is_branch ? 2u : 1u) ||
	    check_packing(c, at, &page, count, is_branch))
		return ERR_CORRUPT;
	for (unsigned i = 0; i < count && !err; i++) {
		uint16_t offset;

		memcpy(&offset, at + sizeof(page) + (size_t)i * 2, 2);
		err = check_node(c, at + offset, depth);
	}
	return err;
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

static int check_trees(struct check *c, const struct meta *meta)
{
	int err = ERR_NOMEM;

	c->used = calloc(c->last_page / 8 + 1, 1);
	c->nodes = calloc(c->page_size / 2, sizeof(*c->nodes));
	if (c->used && c->nodes) {
		err = check_tree(c, &meta->trees[0], true);
		if (!err)
			err = check_tree(c, &meta->trees[1], false);
	}
	free(c->used);
	free(c->nodes);
	return err;
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
	c->last_page = meta->last_page;
	c->txn = meta->txn;
	/* LMDB looks a transaction's meta page up by the number's last bit. */
	if (meta->txn > TXN_MAX || meta->txn % 2 != (meta == &metas[1]) ||
	    meta->trees[0].flags != FREE_FLAGS || meta->trees[1].flags != 0 ||
	    c->last_page > c->pages + PAGES_UNWRITTEN_MAX)
		return ERR_CORRUPT;
	return check_trees(c, meta);
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
	/* A page here and there: reading ahead would read the whole file. */
	(void)madvise(map, c.size, MADV_RANDOM);
	err = check_map(&c);
	munmap(map, c.size);
out:
	close(fd);
	return err;
}
