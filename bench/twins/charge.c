/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C twin of charge + uncharge as 3.19 has it: one page from the per-CPU stock, its owner word and statistics, and per 32 pages one gather
 * that clears the words and uncharges the counters. The same structures at the same addresses, the same loads, stores, locked operations
 * and checks in the same order as Charging.cs, SingleSlotStock.cs, PageCounter.cs, OwnerWord.cs, PinPerPage.cs and UnchargeGather.cs, for
 * a ratio of compilers and nothing else. Valid for counter=PageCounter40, stock=SingleSlot32 or SingleSlot64, no limit, no swap.
 *
 *   long charge_batches(struct charge_twin *t, long batches);
 *     returns 32 * batches, or -1 when a counter refused, -2 when a page had an owner, -3 when a counter fell below zero.
 */
#include <stddef.h>
#include <stdint.h>

#define GATHER		32

#define AREA_READER	128	/* CpuArea.Rcu.Reader */
#define AREA_TABLE	16	/* CpuArea.Table */
#define AREA_STOCK	2048	/* CpuArea.AxesOffset */
#define AREA_MM		14336	/* CpuArea.MmOffset: AccountingCpu */
#define TABLE_PHASE	128	/* CpuTable.Rcu.Phase */
#define NESTING_MASK	0xffffLL

struct page {
	int64_t flags;
	int32_t refcount, mapcount;
	int64_t private, mapping, index;
	void *lru[2];
	int64_t memcg;
};

struct counter {
	int64_t usage, limit;
	struct counter *parent;
	int64_t watermark, failcnt;
};

struct ref {
	int64_t counters_and_mode, count;
	int64_t unused[4], stride;
};

struct tree {
	int32_t capacity, cpus, nodes, swap_accounting;
};

struct memcg {
	struct ref ref;
	char unused1[320 - sizeof(struct ref)];
	int32_t id, depth;
	struct memcg *parent;
	struct tree *tree;
	char unused2[400 - 344];
	int64_t stat_offset;
	char unused3[512 - 408];
	struct counter memory;
};

struct stat {
	int64_t css_ref, unused[7];
	int64_t cache, rss, file_mapped, writeback, swap, pgpgin, pgpgout, reclaimed;
};

struct stock {
	struct memcg *cached;
	int32_t pages;
};

struct charge_twin {
	char *cpu;
	struct memcg *memcg;
	struct page **pages;
	int64_t batch;
};

_Static_assert(sizeof(struct page) == 64 && offsetof(struct page, memcg) == 56, "struct page");
_Static_assert(offsetof(struct ref, stride) == 48, "PerCpuRef");
_Static_assert(offsetof(struct memcg, id) == 320 && offsetof(struct memcg, parent) == 328 && offsetof(struct memcg, tree) == 336 &&
	       offsetof(struct memcg, stat_offset) == 400, "Memcg");
_Static_assert(offsetof(struct memcg, stat_offset) == 400 && offsetof(struct memcg, memory) == 512 && sizeof(struct counter) == 40, "PageCounter40");
_Static_assert(sizeof(struct stat) == 128 && offsetof(struct stat, pgpgin) == 104, "MemcgStatCpu");

#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define unlikely(x)	 __builtin_expect(!!(x), 0)

static __thread long error;

__attribute__((noinline, cold)) static void fail(long e)
{
	error = e;
}

static inline void read_lock(char *cpu)
{
	int64_t *reader = (int64_t *)(cpu + AREA_READER), word = READ_ONCE(*reader);

	word = (word & NESTING_MASK) == 0 ? READ_ONCE(*(int64_t *)(*(char **)(cpu + AREA_TABLE) + TABLE_PHASE)) : word + 1;
	WRITE_ONCE(*reader, word);
}

static inline void read_unlock(char *cpu)
{
	int64_t *reader = (int64_t *)(cpu + AREA_READER), word = READ_ONCE(*reader);

	if (unlikely((word & NESTING_MASK) == 0))
		fail(-4);
	WRITE_ONCE(*reader, word - 1);
}

/* percpu_ref_get_many and, with n below zero, percpu_ref_put_many of a live reference. */
static inline void ref_add(char *cpu, struct ref *ref, int64_t n)
{
	int64_t mode;

	read_lock(cpu);
	mode = READ_ONCE(ref->counters_and_mode);
	if (unlikely(mode & 3))
		__atomic_fetch_add(&ref->count, n, __ATOMIC_SEQ_CST);
	else
		*(int64_t *)(mode + *(int32_t *)cpu * ref->stride) += n;
	read_unlock(cpu);
}

static inline struct stat *stat_of(char *cpu, struct memcg *memcg)
{
	return (struct stat *)(*(char **)(cpu + AREA_MM) + memcg->stat_offset);
}

static inline void stat_add(int64_t *cell, int64_t n)
{
	WRITE_ONCE(*cell, READ_ONCE(*cell) + n);
}

static int try_charge_counter(struct counter *counter, int64_t pages)
{
	for (struct counter *c = counter; c; c = c->parent) {
		int64_t now = __atomic_add_fetch(&c->usage, pages, __ATOMIC_SEQ_CST);

		if (unlikely(now > READ_ONCE(c->limit)))
			return 0;
		if (now > READ_ONCE(c->watermark))
			WRITE_ONCE(c->watermark, now);
	}
	return 1;
}

static void uncharge_counter(struct counter *counter, int64_t pages)
{
	for (struct counter *c = counter; c; c = c->parent)
		if (unlikely(__atomic_sub_fetch(&c->usage, pages, __ATOMIC_SEQ_CST) < 0))
			fail(-3);
}

static void uncharge(char *cpu, struct memcg *memcg, int64_t pages)
{
	uncharge_counter(&memcg->memory, pages);
	if (unlikely(memcg->tree->swap_accounting))
		fail(-5);
	ref_add(cpu, &memcg->ref, -pages);
}

static void drain(char *cpu, struct stock *stock)
{
	struct memcg *memcg = READ_ONCE(stock->cached);
	int32_t pages;

	if (!memcg)
		return;
	pages = READ_ONCE(stock->pages);
	WRITE_ONCE(stock->pages, 0);
	WRITE_ONCE(stock->cached, NULL);
	if (pages)
		uncharge(cpu, memcg, pages);
}

static void refill(char *cpu, struct stock *stock, struct memcg *memcg, int32_t pages, int64_t batch)
{
	int32_t sum;

	if (READ_ONCE(stock->cached) != memcg) {
		drain(cpu, stock);
		WRITE_ONCE(stock->cached, memcg);
	}
	sum = READ_ONCE(stock->pages) + pages;
	WRITE_ONCE(stock->pages, sum);
	if (sum > batch)
		drain(cpu, stock);
}

__attribute__((noinline)) static int try_charge_slow(char *cpu, struct memcg *memcg, int64_t batch)
{
	if (unlikely(memcg->tree->swap_accounting) || !try_charge_counter(&memcg->memory, batch)) {
		fail(-1);
		return 0;
	}
	ref_add(cpu, &memcg->ref, batch);
	refill(cpu, (struct stock *)(cpu + AREA_STOCK), memcg, batch - 1, batch);
	return 1;
}

static inline int try_charge(char *cpu, struct memcg *memcg, int64_t batch)
{
	struct stock *stock = (struct stock *)(cpu + AREA_STOCK);
	int32_t rest;

	if (!memcg->parent)
		return 1;
	rest = READ_ONCE(stock->pages) - 1;
	if (READ_ONCE(stock->cached) != memcg || rest < 0)
		return try_charge_slow(cpu, memcg, batch);
	WRITE_ONCE(stock->pages, rest);
	return 1;
}

static inline void commit(char *cpu, struct page *page, struct memcg *memcg)
{
	struct stat *stat;

	if (unlikely(READ_ONCE(page->memcg))) {
		fail(-2);
		return;
	}
	WRITE_ONCE(page->memcg, (int64_t)memcg);
	stat = stat_of(cpu, memcg);
	stat_add(&stat->rss, 1);
	stat_add(&stat->pgpgin, 1);
}

__attribute__((noinline)) static void flush(char *cpu, struct memcg *owner, int memory, int anon, int file)
{
	struct stat *stat = stat_of(cpu, owner);

	stat_add(&stat->rss, -anon);
	stat_add(&stat->cache, -file);
	stat_add(&stat->pgpgout, anon + file);
	if (owner->parent)
		uncharge(cpu, owner, memory);
}

/* Uncharges the pages of one owner from at on, up to the first page of another; returns where that is. */
static int uncharge_run(char *cpu, struct page **pages, int at, int n)
{
	struct memcg *owner = NULL;
	int memory = 0, anon = 0;

	for (; at < n; at++) {
		struct page *page = pages[at];
		struct memcg *of = (struct memcg *)READ_ONCE(page->memcg);

		if (!of)
			continue;
		if (of != owner) {
			if (owner)
				break;
			owner = of;
		}
		if (!READ_ONCE(page->memcg))
			continue;
		WRITE_ONCE(page->memcg, 0);
		memory++;
		anon += READ_ONCE(page->mapping) & 1;
	}
	if (memory)
		flush(cpu, owner, memory, anon, memory - anon);
	return at;
}

static void final_put(char *cpu, struct page **pages, int n)
{
	for (int i = 0; i < n;)
		i = uncharge_run(cpu, pages, i, n);
}

long charge_batches(struct charge_twin *t, long batches)
{
	char *cpu = t->cpu;

	error = 0;
	for (long batch = 0; batch < batches && !error; batch++) {
		for (int i = 0; i < GATHER; i++)
			if (try_charge(cpu, t->memcg, t->batch))
				commit(cpu, t->pages[i], t->memcg);
		final_put(cpu, t->pages, GATHER);
	}
	return error ? error : GATHER * batches;
}
