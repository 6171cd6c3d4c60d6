/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C twin of the order-0 alloc and free served from the per-CPU list: the same structures at the same addresses, the same loads, stores
 * and checks in the same order as PageAllocator.cs, for a ratio of compilers and nothing else.
 *
 *   gcc -O2 -march=x86-64-v3 -shared -fPIC -Wall -Wextra -o libpcp.so pcp.c
 *
 * ABI, plain C:
 *   long pcp_bursts(void *allocator_cpu, long rounds, long burst, void **scratch);
 *       allocator_cpu  the AllocatorCpu of the calling, pinned thread: its CpuArea + 1024
 *       rounds         how often a burst is allocated and then freed in the order of allocation
 *       burst          pages per burst; the home list must hold that many (allocate and free burst pages once before)
 *                      and count + burst may not reach high
 *       scratch        room for burst pointers
 *     returns rounds * burst, or -1 when the list ran empty, -2 when it filled up, -3 when a check failed;
 *     after a negative return the pages of the last burst may be lost.
 *   int pcp_abi(void);
 *       changes when the layout below does (1).
 *
 * One pair = alloc, drop the only reference with a store, free. Fields that the C# source reads as cells are READ_ONCE here, as in Linux.
 */
#include <stddef.h>
#include <stdint.h>

struct page {
	int64_t flags;
	int32_t refcount;
	int32_t mapcount;
	int64_t private;
	int64_t mapping;
	int64_t index;
	struct page *lru[2];
	int64_t memcg;
};

struct pcp {
	int32_t count;
	int32_t high;
	int32_t batch;
	int32_t pad;
	void *zone;
	char unused[40];
	struct page *entries[];
};

struct allocator_cpu {
	void *state;
	struct pcp *home;
	char *lists;
	struct page *pages;
	int64_t nr_pages;
	void *home_node;
};

_Static_assert(sizeof(struct page) == 64 && offsetof(struct page, memcg) == 56, "struct page");
_Static_assert(offsetof(struct pcp, entries) == 64, "struct pcp");
_Static_assert(offsetof(struct allocator_cpu, nr_pages) == 32, "struct allocator_cpu");

#define NODE_SHIFT	54
#define NODE_MASK	((int64_t)(~0ULL << NODE_SHIFT))
#define PG_FREE		(1LL << 14)
#define CHECK_AT_FREE	0x7f71LL	/* locked lru active unevictable swapcache writeback slab head tail buddy free */
#define LIST_SHIFT	11

#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define unlikely(x)	 __builtin_expect(!!(x), 0)

static int error;

__attribute__((noinline, cold)) static struct page *alloc_slow(void)
{
	error = -1;
	return NULL;
}

__attribute__((noinline, cold)) static void drain(void)
{
	error = -2;
}

__attribute__((noinline, cold)) static void bad_page(void)
{
	error = -3;
}

static inline struct page *alloc_page(struct allocator_cpu *cpu)
{
	struct pcp *list = cpu->home;
	int last = list->count - 1;
	struct page *page;
	int64_t flags, node;

	if (unlikely(last < 0))
		return alloc_slow();
	page = list->entries[last];
	list->count = last;
	flags = READ_ONCE(page->flags);
	node = flags & NODE_MASK;
	if (unlikely((flags ^ node ^ PG_FREE) | (uint32_t)READ_ONCE(page->refcount)))
		bad_page();
	WRITE_ONCE(page->flags, node);
	WRITE_ONCE(page->refcount, 1);
	return page;
}

static inline void free_page(struct allocator_cpu *cpu, struct page *page)
{
	uint64_t offset = (uint64_t)page - (uint64_t)cpu->pages;
	int64_t flags, mapping, bad;
	struct pcp *list;
	int count;

	if (unlikely((offset >> 6 | offset << 58) >= (uint64_t)cpu->nr_pages)) {
		bad_page();
		return;
	}
	flags = READ_ONCE(page->flags);
	mapping = READ_ONCE(page->mapping);
	bad = flags & CHECK_AT_FREE;
	bad |= (uint32_t)READ_ONCE(page->refcount);
	bad |= (uint32_t)READ_ONCE(page->mapcount);
	bad |= READ_ONCE(page->memcg);
	bad |= mapping & ((mapping & 1) - 1);
	if (unlikely(bad))
		bad_page();
	flags &= NODE_MASK;
	WRITE_ONCE(page->flags, flags | PG_FREE);
	WRITE_ONCE(page->mapping, 0);
	list = (struct pcp *)(cpu->lists + ((uint64_t)flags >> NODE_SHIFT << LIST_SHIFT));
	count = list->count;
	list->entries[count] = page;
	list->count = ++count;
	if (unlikely(count >= list->high))
		drain();
}

int pcp_abi(void)
{
	return 1;
}

long pcp_bursts(void *allocator_cpu, long rounds, long burst, void **scratch)
{
	struct allocator_cpu *cpu = allocator_cpu;

	error = 0;
	for (long round = 0; round < rounds; round++) {
		for (long i = 0; i < burst; i++)
			scratch[i] = alloc_page(cpu);
		if (unlikely(error))
			return error;
		for (long i = 0; i < burst; i++) {
			struct page *page = scratch[i];

			WRITE_ONCE(page->refcount, 0);
			free_page(cpu, page);
		}
	}
	return error ? error : rounds * burst;
}
