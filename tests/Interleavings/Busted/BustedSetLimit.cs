// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// page_counter_limit, wrong in one way each (S3).

/// <summary>Does not look whether a charge came in under the old limit.</summary>
internal readonly unsafe struct SetWithoutLookingAgain : ISetLimit
{
    public static bool TrySet(void* c, long pages)
    {
        if (AtomicLong.Load(PageCounter40.Usage(c)) > pages) return false;
        AtomicLong.Exchange(PageCounter40.Limit(c), pages);
        return true;
    }
}

/// <summary>Stores the limit where Linux exchanges it: the second look may pass the store.</summary>
internal readonly unsafe struct SetByStore : ISetLimit
{
    public static bool TrySet(void* c, long pages)
    {
        while (true)
        {
            long before = AtomicLong.Load(PageCounter40.Usage(c));
            if (before > pages) return false;
            long old = AtomicLong.Load(PageCounter40.Limit(c));
            AtomicLong.Store(PageCounter40.Limit(c), pages);
            if (AtomicLong.Load(PageCounter40.Usage(c)) <= before || pages >= old) return true;
            AtomicLong.Store(PageCounter40.Limit(c), old);
        }
    }
}

/// <summary>The tutorial's counter before its mend: counts what fits under the limit it saw, and does not ask again.</summary>
internal readonly unsafe struct CountsWithoutLookingAgain : ICounterVariant<PageCounter<PageCounter40>>
{
    public static string Name => "one look";

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        void* counter = PageCounter<PageCounter40>.Of(memcg, CounterKind.Memory);
        AtomicLong* usage = PageCounter40.Usage(counter);
        while (true)
        {
            long before = AtomicLong.Load(usage), after = before + pages;
            if (after > AtomicLong.Load(PageCounter40.Limit(counter))) return false;
            if (AtomicLong.CompareExchange(usage, after, before) == before) return true;
        }
    }
}

/// <summary>S1: adds back what it should not have taken, as was proposed for page_counter.</summary>
internal readonly unsafe struct RepairsItself : ICancel
{
    public static void Cancel(void* counter, long pages)
    {
        if (AtomicLong.AddReturn(PageCounter40.Usage(counter), -pages) < 0) AtomicLong.Add(PageCounter40.Usage(counter), pages);
    }
}
